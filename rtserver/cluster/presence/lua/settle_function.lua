-- Takes up to 100 users whose grace is over out of P:leaving, and those of them that have no device out of P:online.
-- Returns the users who are offline now, and whether there are more to settle.
local function settle()
  local gone = {}
  local due = redis.call('ZRANGEBYSCORE', p..':leaving', '-inf', now, 'LIMIT', 0, 100)
  for _, user in ipairs(due) do
    redis.call('ZREM', p..':leaving', user)
    if not somewhere(user) then
      redis.call('ZREM', p..':online', user)
      gone[#gone + 1] = user
    end
  end
  return gone, #due == 100
end
