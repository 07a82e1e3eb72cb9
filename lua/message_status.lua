#!lua flags=no-writes
--[[ What became of a message.

KEYS     1-3  queues    lists of records, rs:{user}:queue, :queue:high, :queue:low
         4    journal   list of lines, rs:{user}:journal
         5    presence  hash, rs:{user}:presence
ARGV     1    app       whose message it must be
         2    id        the message
         3    now       ms since 1970
RETURNS  {'stored', expires}               it waits
         {'pushed', expires, ms}           it waits, and was handed to a broker at that time
         {event, ms[, pushed ms]}          acknowledged, replaced, displaced, withdrawn, expired
         {'unknown'}                       never heard of, of another App, or too long ago
CALLERS  DC, for the verb STATUS and for receipts that are owed

Handed over: stored while the user was online, or at or before the message up to which
its queue was fetched in this login. ]]

if #KEYS ~= 5 or #ARGV ~= 3 then
	return redis.error_reply('ERR message_status: wants 5 KEYS and 3 ARGV')
end
local LANES = {'normal', 'high', 'low'}
local journal, presence = KEYS[4], KEYS[5]
local app, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not now then return redis.error_reply('ERR message_status: now must be a number') end
--@include record
local call = redis.call

if #id ~= 26 then return {'unknown'} end

-- The time of the handing over, nil if it was not.
local function handed(lane, sent, place)
	local p = call('HMGET', presence, 'broker', 'since', 'handed:' .. LANES[lane])
	if not p[1] then return nil end
	local since, stored = tonumber(p[2]), tonumber(sent)
	if since and stored and stored >= since then return sent end
	local last, ms = string.match(p[3] or '', '^(.*) (%d+)$')
	if not last then return nil end
	local last_place
	each_record(KEYS[lane], 0, function(record, at)
		if sub(record, 1, 26) == last then last_place = at end
		return last_place or at > place + 1024
	end)
	-- Taken already: then what was handed over with it or before is older.
	if last_place then return place <= last_place and ms or nil end
	return id <= last and ms or nil
end

for lane = 1, 3 do
	local found, place
	each_record(KEYS[lane], 0, function(record, at)
		if sub(record, 1, 26) == id then found, place = record, at end
		return found ~= nil
	end)
	if found then
		local of, ends, rest = look(found)
		if of ~= app then return {'unknown'} end
		local until_ms = sub(found, rest - 14, rest - 2)
		local ms = handed(lane, sub(found, rest - 28, rest - 16), place)
		return {ends <= now and 'expired' or ms and 'pushed' or 'stored', until_ms, ms}
	end
end

local result
each_record(journal, 0, function(line)
	if not find(line, id, 1, true) then return false end
	local ms, event, of, ids = string.match(line, '^(%d+) (%S+) (%S+) ()')
	local from = of == app and find(line, id, ids, true)
	if from then
		local pushed, expired = string.match(line, '^:?(%d*)@?(%d*)', from + 26)
		result = {event, expired ~= '' and expired or ms, pushed ~= '' and pushed or nil}
	end
	return result ~= nil
end)
return result or {'unknown'}
