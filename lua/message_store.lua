#!lua
--[[ Stores one message for a user, and says where the user is. The hot path.

KEYS     1  queue      list of records, rs:{user}:queue
         2  presence   hash, rs:{user}:presence
         3  once       string, rs:{user}:once:{<app>}:<id>; given when the App named an id
ARGV     1  record     "<id> <app> <sent> <expires> <app's id or ->\n<body>"
         2  expires    ms since 1970, the same as in the record
         3  now        ms since 1970
         4  max_count  the most messages a queue may hold
         5  once_ttl   ms for which the App's id is remembered
RETURNS  {'stored', count}                                    offline
         {'stored', count, prev, broker, boot, conn, owner}   online; prev is the id of the
                                                              message before, '' if there is none
         {'duplicate', id}                                    the id given the first time
         {'duplicate', id, '', broker, boot, conn, owner}
         {'full', count}                                      nothing was written
CALLERS  DC, for each message to be stored

No allow-oom: a Redis that is full refuses this before the first write. What is
read stands before what is written, so that a key of a wrong type changes nothing. ]]

if #KEYS < 2 or #KEYS > 3 or #ARGV ~= 5 then
	return redis.error_reply('ERR message_store: wants 2 or 3 KEYS and 5 ARGV')
end
local queue, presence, once = KEYS[1], KEYS[2], KEYS[3]
local record, expires, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_count, once_ttl = tonumber(ARGV[4]), ARGV[5]
if not (tonumber(expires) and now and max_count and tonumber(once_ttl)) then
	return redis.error_reply('ERR message_store: expires, now, max_count, once_ttl must be numbers')
end
local call, sub = redis.call, string.sub

local at = call('HMGET', presence, 'broker', 'boot', 'conn', 'owner')
if once then
	local id = call('GET', once)
	if id then
		if not at[1] then return {'duplicate', id} end
		return {'duplicate', id, '', at[1], at[2], at[3], at[4]}
	end
end

local count = call('RPUSH', queue, record)
-- Expired messages at the head make room, and are looked for now and then so that
-- they never pile up.
if count > max_count or count % 16 == 0 then
	local gone = 0
	while gone < count do
		local head = call('LINDEX', queue, gone)
		local space = string.find(head, ' ', 28, true)
		local ends = space and tonumber(sub(head, space + 15, space + 27))
		if not ends or ends > now then break end
		gone = gone + 1
	end
	if gone > 0 then call('LTRIM', queue, gone, -1) end
	count = count - gone
	if count > max_count then
		call('RPOP', queue)
		return {'full', count - 1}
	end
end

if count == 1 then
	call('PEXPIREAT', queue, expires)
else
	call('PEXPIREAT', queue, expires, 'GT')
end
if once then call('SET', once, sub(record, 1, 26), 'PX', once_ttl) end

if not at[1] then return {'stored', count} end
local prev = ''
if count > 1 then prev = sub(call('LINDEX', queue, -2), 1, 26) end
return {'stored', count, prev, at[1], at[2], at[3], at[4]}
