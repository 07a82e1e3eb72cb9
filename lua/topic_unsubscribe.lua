#!lua flags=allow-oom
--[[ Notes that a user does not want the messages that a filter matches any more; see
topic_subscribe.

KEYS     1  topics     set of filters, rs:{user}:topics
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token; '' when an App asks
         2  filter     checked before
RETURNS  1; 0 if it was not there; -1 when another login owns the user
CALLERS  broker, when a client asks for it; DC, when an App does ]]

if #KEYS ~= 2 or #ARGV ~= 2 then
	return redis.error_reply('ERR topic_unsubscribe: wants 2 KEYS and 2 ARGV')
end
local topics, presence = KEYS[1], KEYS[2]
local owner, filter = ARGV[1], ARGV[2]
local call = redis.call

if owner ~= '' and call('HGET', presence, 'owner') ~= owner then return -1 end
return call('SREM', topics, filter)
