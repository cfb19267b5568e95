-- ARGV: (see room_prelude.lua) from 4 on, prefixes of users. Returns the same as room_page.lua, of these users.
for i = 4, #ARGV do
  local user = ARGV[3]..ARGV[i]
  for _, instance in ipairs(live) do tell(instance, '['..user, '('..user..'\255', 1) end
end
return {epoch, silent, live, told}
