#!lua flags=allow-oom
--[[ Takes every expired message out of a user's queues, wherever it stands.

KEYS     1-3  queues    lists of records, rs:{user}:queue, :queue:high, :queue:low
         4    journal   list of lines, rs:{user}:journal
ARGV     1    now       ms since 1970
         2    keep      ms for which it is remembered what became of a message
RETURNS  number of messages removed
CALLERS  CLI, before it shows a queue ]]

if #KEYS ~= 4 or #ARGV ~= 2 then
	return redis.error_reply('ERR message_expire: wants 4 KEYS and 2 ARGV')
end
local journal, now, keep = KEYS[4], tonumber(ARGV[1]), tonumber(ARGV[2])
if not (now and keep) then return redis.error_reply('ERR message_expire: now and keep must be numbers') end
--@include record
--@include journal

for i = 1, 4 do redis.call('LLEN', KEYS[i]) end -- a key of another type ends it here
local count = 0
for lane = 1, 3 do count = count + expire_queue(KEYS[lane], now) end
write_journal(journal, now, keep)
return count
