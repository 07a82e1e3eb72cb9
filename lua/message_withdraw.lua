#!lua flags=allow-oom
--[[ Takes messages that wait for a user out of the queues: one, or all of an App.

KEYS     1-3  queues    lists of records, rs:{user}:queue, :queue:high, :queue:low
         4    journal   list of lines, rs:{user}:journal
         5    presence  hash, rs:{user}:presence
ARGV     1    app       whose messages; '' for an operator: anybody's
         2    id        the message; '' for all
         3    now       ms since 1970
         4    keep      ms for which it is remembered what became of a message
RETURNS  {count, broker, boot, conn, owner, event...}   broker and what follows are '' when the
                       user is offline; an event is "withdrawn <app> <id> <r or ->", of the
                       first 1024
CALLERS  DC (one message of the App that asks), CLI (queue purge) ]]

if #KEYS ~= 5 or #ARGV ~= 4 then
	return redis.error_reply('ERR message_withdraw: wants 5 KEYS and 4 ARGV')
end
local journal, presence = KEYS[4], KEYS[5]
local app, id, now, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not (now and keep) then return redis.error_reply('ERR message_withdraw: now and keep must be numbers') end
--@include record
--@include journal
local call = redis.call
local EVENTS_MAX = 1024

local at = call('HMGET', presence, 'broker', 'boot', 'conn', 'owner')
for i = 1, 4 do call('LLEN', KEYS[i]) end -- a key of another type ends it here
local answer = {0, at[1] or '', at[2] or '', at[3] or '', at[4] or ''}

local function take_from(queue)
	local places = {}
	each_record(queue, 0, function(record, place)
		local of, ends = look(record)
		if not of or ends <= now or (app ~= '' and of ~= app) then return false end
		if id ~= '' and sub(record, 1, 26) ~= id then return false end
		places[#places + 1] = place
		ended('withdrawn', record)
		if #answer < 5 + EVENTS_MAX then
			answer[#answer + 1] = table.concat({'withdrawn', of, sub(record, 1, 26),
				wants_receipt(record) and 'r' or '-'}, ' ')
		end
		return id ~= ''
	end)
	take_out(queue, places)
	return #places
end

for lane = 1, 3 do
	if id == '' or answer[1] == 0 then answer[1] = answer[1] + take_from(KEYS[lane]) end
end
write_journal(journal, now, keep)
return answer
