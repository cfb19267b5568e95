-- ARGV: (see room_prelude.lua) 4 the start of the range, 5 the number of entries of each instance.
-- Returns the epoch, 1 if an instance is silent, the other instances, and (instance, `user \0 devices`) in a row.
for _, instance in ipairs(live) do tell(instance, ARGV[4], '('..ARGV[3]..'\255', ARGV[5]) end
return {epoch, silent, live, told}
