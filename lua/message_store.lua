#!lua
--[[ Stores one message for a user, and says where the user is. The hot path: what a
message needs beyond this (another priority, a collapse key, limits of its App, a
queue that is full) goes to message_place, and so does all for a user for whom that
has left an index.

KEYS     1  queue      list of records, rs:{user}:queue
         2  presence   hash, rs:{user}:presence
         3  settings   hash, rs:{user}:settings
         4  index      hash, rs:{user}:index
         5  journal    list of lines, rs:{user}:journal
         6  once       string, rs:{user}:once:{<app>}:<id>; given when the App named an id
ARGV     1  record     "<id> <app> <sent> <expires> <app's id or ->...\n<body>"
         2  expires    ms since 1970, the same as in the record
         3  now        ms since 1970
         4  max_count  the most messages the queue may hold on this way
         5  keep       ms for which it is remembered what became of a message
         6  once_ttl   ms for which the App's id is remembered
RETURNS  {'stored', count}                                      offline
         {'stored', count, prev, broker, boot, conn, owner}     online; prev is the id of the
                                                                message before, '' if there is none
         {'duplicate', id, state[, broker, boot, conn, owner]}  the id given the first time, and
                                                                what was answered then
         {'off', '', '', broker, boot, conn, owner}             the user does not want what is
         {'off'}                                                stored; nothing was written, but
                                                                `once` of a fan-out
         {'more'}                                               message_place must do it;
                                                                nothing was written, only
                                                                what expired was taken out
CALLERS  DC, for each message to be stored

No allow-oom: a Redis that is full refuses this before the first write. What is
read stands before what is written, so that a key of a wrong type changes nothing. ]]

if #KEYS < 5 or #KEYS > 6 or #ARGV ~= 6 then
	return redis.error_reply('ERR message_store: wants 5 or 6 KEYS and 6 ARGV')
end
local queue, presence, settings, index, journal, once = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local record, expires, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_count, keep, once_ttl = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if not (expires and now and max_count and keep and once_ttl) or once_ttl < 1 then
	return redis.error_reply('ERR message_store: expires, now, max_count, keep, once_ttl must be numbers')
end
--@include record
--@include journal
local call = redis.call
local app = look(record)
if not app then return redis.error_reply('ERR message_store: not a record') end

local at = call('HMGET', presence, 'broker', 'boot', 'conn', 'owner')
if once then
	local first = call('GET', once)
	if first then
		local id, state = sub(first, 1, 26), sub(first, 28)
		if not at[1] then return {'duplicate', id, state} end
		return {'duplicate', id, state, at[1], at[2], at[3], at[4]}
	end
end
if call('EXISTS', settings, index) > 0 then
	local off = call('HMGET', settings, 'off:' .. app, 'off:*')
	if off[1] or off[2] then
		-- It comes by again, and is to find who was served.
		if once and is_of_many(record) then
			call('SET', once, sub(record, 1, 26) .. (at[1] and ' pushed' or ' dropped'), 'PX', once_ttl)
		end
		if not at[1] then return {'off'} end
		return {'off', '', '', at[1], at[2], at[3], at[4]}
	end
	if call('EXISTS', index) == 1 then return {'more'} end
end
call('LLEN', journal)

local count = call('RPUSH', queue, record)
-- Expired messages at the head make room, and are looked for now and then so that
-- they never pile up.
if count > max_count or count % 16 == 0 then
	local gone = 0
	each_record(queue, 0, function(old)
		if not is_expired(old, now) then return true end
		ended('expired', old)
		gone = gone + 1
	end, 1)
	if gone > 0 then
		call('LTRIM', queue, gone, -1)
		write_journal(journal, now, keep)
	end
	count = count - gone
	if count > max_count then
		call('RPOP', queue)
		return {'more'}
	end
end

-- Beyond its end by `keep`, so that it can still be told that it expired.
local ends = string.format('%.0f', expires + keep)
if count == 1 then
	call('PEXPIREAT', queue, ends)
else
	call('PEXPIREAT', queue, ends, 'GT')
end
if once then
	call('SET', once, sub(record, 1, 26) .. (at[1] and ' pushed' or ' stored'), 'PX', once_ttl)
end

if not at[1] then return {'stored', count} end
local prev = ''
if count > 1 then prev = sub(call('LINDEX', queue, -2), 1, 26) end
return {'stored', count, prev, at[1], at[2], at[3], at[4]}
