-- Envoy gives the content type text/plain to every answer of its own that has a
-- body, and to those of a 201 or 3xx the request's own address as location. This
-- filter is the last one, so the answer behind it is the route's, and its headers
-- are those of the filter's context and no others.

local reached = "attache.directResponse"

function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set(reached, "reached", true)
end

function envoy_on_response(handle)
  if not handle:streamInfo():dynamicMetadata():get(reached) then return end
  local headers = handle:headers()
  -- Clients of gRPC are told in its own way.
  if headers:get("content-type") == "application/grpc" then return end
  headers:remove("content-type")
  headers:remove("location")
  for name, value in pairs(handle:filterContext()) do headers:replace(name, value) end
end
