-- Prepended to every script of presence. KEYS[1]: P, the prefix of all keys.
local p = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local HOUR = 3600000
local known
local function instances()
  known = known or redis.call('ZREVRANGE', p..':leases', 0, 999)
  return known
end
local function somewhere(user)
  for _, instance in ipairs(instances()) do
    if redis.call('HEXISTS', p..':on:'..instance, user) == 1 then return true end
  end
  return false
end
