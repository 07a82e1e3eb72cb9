#!lua
--[[ Notes that a user wants the messages of the topics that a filter matches. The set
of the filter, rs:topic:{<filter>}, lies in another slot and follows this one
(libshared/app/topics.h).

KEYS     1  topics     set of filters, rs:{user}:topics
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token; '' when an App asks
         2  filter     checked before
         3  max        the most filters a user may have
RETURNS  1; 0 if it was there; -1 when another login owns the user; -2 over max
CALLERS  broker, when a client asks for it; DC, when an App does ]]

if #KEYS ~= 2 or #ARGV ~= 3 then
	return redis.error_reply('ERR topic_subscribe: wants 2 KEYS and 3 ARGV')
end
local topics, presence = KEYS[1], KEYS[2]
local owner, filter, max = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not max then return redis.error_reply('ERR topic_subscribe: max must be a number') end
local call = redis.call

if owner ~= '' and call('HGET', presence, 'owner') ~= owner then return -1 end
if call('SISMEMBER', topics, filter) == 1 then return 0 end
if call('SCARD', topics) >= max then return -2 end
return call('SADD', topics, filter)
