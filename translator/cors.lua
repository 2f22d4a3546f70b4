-- What agentgateway's http/cors.rs decides. The filter's context has:
--   any                        whether every origin is allowed
--   origins                    else those that are, as scheme://host:port, each
--                              a list of the texts between its stars
--   methods, headers, age      what a preflight is told; "*" for what it asks for
--   exposed, credentials       what every response tells
-- All but any and origins are values of headers, and absent for none.

local queue = "attache.cors"

-- Headers that are not text count as absent.
local function text(value)
  return value and not value:find("[^\t -~]") and value or ""
end

local ports = {http = 80, https = 443}

-- The origin in lower case and with its port, or nil for none that can match.
local function normal(origin)
  local scheme, host = origin:lower():match("^(.-)://([^/?#*]+)$")
  local port = ports[scheme or ""]
  if host and host:find(":", 1, true) then
    host, port = host:match("^([^:]+):(%d+)$")
    port = tonumber(port)
  end
  return port and ports[scheme] and host and scheme .. "://" .. host .. ":" .. port
end

local function covers(parts, origin)
  local first, last = parts[1], parts[#parts]
  if #parts == 1 then return origin == first end
  local from, to = #first + 1, #origin - #last
  if to < from - 1 or origin:sub(1, #first) ~= first or origin:sub(to + 1) ~= last then return false end
  for i = 2, #parts - 1 do
    local _, stop = origin:find(parts[i], from, true)
    if not stop or stop > to then return false end
    from = stop + 1
  end
  return true
end

local function allowed(policy, origin)
  if policy:get("any") then return true end
  origin = normal(text(origin))
  for _, parts in ipairs(origin and policy:get("origins") or {}) do
    if covers(parts, origin) then return true end
  end
  return false
end

-- What a preflight is told: a fixed list, or what it asked for.
local function told(policy, key, asked)
  local list = policy:get(key)
  if list ~= "*" then return list end
  if asked ~= "" then return asked end
  if not policy:get("credentials") then return "*" end
end

local function trimmed(value)
  return value:match("^%s*(.-)%s*$")
end

local function items(value)
  local list = {}
  for item in value:gmatch("[^,]+") do
    item = trimmed(item)
    if item ~= "" then list[#list + 1] = item end
  end
  return table.concat(list, ", ")
end

function envoy_on_request(handle)
  local request = handle:headers()
  local origin = request:getAtIndex("origin", 0)
  if not origin then return end
  local policy = handle:filterContext()
  local asks = request:getAtIndex("access-control-request-method", 0)
  local options = request:get(":method") == "OPTIONS"
  if not allowed(policy, origin) then
    if options and asks and asks ~= "" then handle:respond({[":status"] = "200"}) end
    return
  end
  local answer = {
    ["access-control-allow-origin"] = origin,
    ["access-control-allow-credentials"] = policy:get("credentials"),
    ["access-control-expose-headers"] = policy:get("exposed"),
  }
  if options then
    answer[":status"] = "200"
    answer["access-control-allow-methods"] = told(policy, "methods", trimmed(text(asks)))
    answer["access-control-allow-headers"] = told(policy, "headers", items(text(request:getAtIndex("access-control-request-headers", 0))))
    answer["access-control-max-age"] = policy:get("age")
    handle:respond(answer)
    return
  end
  local metadata = handle:streamInfo():dynamicMetadata()
  for name, value in pairs(answer) do metadata:set(queue, name, value) end
end

function envoy_on_response(handle)
  local queued = handle:streamInfo():dynamicMetadata():get(queue)
  for name, value in pairs(queued or {}) do handle:headers():replace(name, value) end
end
