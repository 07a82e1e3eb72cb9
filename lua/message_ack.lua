#!lua flags=allow-oom
--[[ Deletes exactly the messages a client has acknowledged, from one of its queues.

KEYS     1  queue      list of records, rs:{user}:queue, :queue:high or :queue:low
         2  presence   hash, rs:{user}:presence
         3  journal    list of lines, rs:{user}:journal
ARGV     1  owner      the caller's owner token
         2  now        ms since 1970
         3  keep       ms for which it is remembered what became of a message
         4+ id, handed...  pairs, in any order, at least one: the message's id, and when it
                       was handed to the client's session, ms since 1970; negative: it
                       expired there, and the client was told to pass it over
RETURNS  {'ok', removed, left, receipt...}   ids not found are passed over; a receipt is
                                             "<acknowledged or expired> <app> <id>" of a message
                                             whose App wants to know
         {'fenced'}                          another login owns the user, nothing was deleted
CALLERS  DC, when a broker passes acknowledgements on

The usual case, the ids are those at the head, is one LRANGE and one LTRIM. What
is under way to a client stands at the front, so only the first (ids + 1024) records
are looked at: an id that is not there does not cost a walk through the queue. ]]

if #KEYS ~= 3 or #ARGV < 5 or #ARGV % 2 ~= 1 then
	return redis.error_reply('ERR message_ack: wants 3 KEYS and an owner, now, keep and pairs of id and time as ARGV')
end
local queue, presence, journal = KEYS[1], KEYS[2], KEYS[3]
local owner, now, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local FIRST_ID, DEPTH = 4, 1024
if not (now and keep) then return redis.error_reply('ERR message_ack: now and keep must be numbers') end
--@include record
--@include journal
local call = redis.call

if call('HGET', presence, 'owner') ~= owner then return {'fenced'} end
call('LLEN', journal)

local wanted, missing = {}, 0
for i = FIRST_ID, #ARGV, 2 do
	if not tonumber(ARGV[i + 1]) then return redis.error_reply('ERR message_ack: a time must be a number') end
	if not wanted[ARGV[i]] then
		wanted[ARGV[i]] = ARGV[i + 1]
		missing = missing + 1
	end
end

-- First find, then delete, so that no index shifts.
local answer, places, limit = {'ok', 0, 0}, {}, missing + DEPTH
each_record(queue, 0, function(record, at)
	if at >= limit then return true end
	local id = sub(record, 1, 26)
	if wanted[id] then
		places[#places + 1] = at
		local event = tonumber(wanted[id]) < 0 and 'expired' or 'acknowledged'
		ended(event, record, string.match(wanted[id], '%d+'))
		if wants_receipt(record) then
			answer[#answer + 1] = event .. ' ' .. look(record) .. ' ' .. id
		end
		missing = missing - 1
	end
	return missing == 0
end, missing)
take_out(queue, places)

write_journal(journal, now, keep)
answer[2] = #places
answer[3] = call('LLEN', queue)
return answer
