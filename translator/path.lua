-- Replaces the path and the query of a request.
function envoy_on_request(handle)
  handle:headers():replace(":path", handle:filterContext():get("path"))
end
