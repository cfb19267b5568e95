-- Returns the users whose grace is over and who are offline now; and 1 if there are more.
local gone, more = settle()
return {gone, more and 1 or 0}
