-- What agentgateway's http/csrf.rs decides. The filter's context has trusted, a
-- table of the origins that are.

local safe = {GET = true, HEAD = true, OPTIONS = true}

local function passes(handle)
  local request = handle:headers()
  if safe[request:get(":method")] then return true end
  local site = request:getAtIndex("sec-fetch-site", 0)
  if site == "same-origin" or site == "none" then return true end
  local origin = request:getAtIndex("origin", 0)
  if ((site or "") .. (origin or "")):find("[^\t -~]") then return false end
  if not origin or origin == "null" then return not site end
  if not site and origin == request:get(":scheme") .. "://" .. request:get(":authority") then return true end
  return handle:filterContext():get("trusted")[origin] == true
end

-- Envoy lets a request pass whose script has failed; this one must not.
function envoy_on_request(handle)
  local ran, pass = pcall(passes, handle)
  if not (ran and pass) then
    handle:respond({[":status"] = "403"}, "CSRF validation failed")
  end
end
