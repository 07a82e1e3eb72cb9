#!lua flags=allow-oom
--[[ The client knows now how many messages of an App were displaced while it was away.

KEYS     1  missed     hash, rs:{user}:missed
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token
         2  app        whose messages
         3  count      how many it was told of
RETURNS  how many more there are by now; -1 when another login owns the user
CALLERS  broker, when the client has taken the notice ]]

if #KEYS ~= 2 or #ARGV ~= 3 then
	return redis.error_reply('ERR missed_told: wants 2 KEYS and 3 ARGV')
end
local missed, presence = KEYS[1], KEYS[2]
local owner, app, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not count then return redis.error_reply('ERR missed_told: count must be a number') end
local call = redis.call

if call('HGET', presence, 'owner') ~= owner then return -1 end
local left = (tonumber(call('HGET', missed, app)) or 0) - count
if left > 0 then
	call('HSET', missed, app, left)
	return left
end
call('HDEL', missed, app)
return 0
