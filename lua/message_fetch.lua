#!lua flags=allow-oom
--[[ Hands over the next messages of one of a user's queues; takes out expired ones on
the way.

KEYS     1  queue      list of records, rs:{user}:queue, :queue:high or :queue:low
         2  presence   hash, rs:{user}:presence
         3  journal    list of lines, rs:{user}:journal
ARGV     1  owner      the caller's owner token
         2  after      id of the last message the caller has, '' to begin at the head
         3  skip       how many messages up to and with `after` the caller believes to be
                       in the queue: a hint, checked before it is used
         4  max_count  the most records to return
         5  max_bytes  the most bytes to return; the first record is returned in any case
         6  now        ms since 1970
         7  keep       ms for which it is remembered what became of a message
         8  lane       normal, high or low: whose `handed` in presence is set
RETURNS  {'ok', left, expired, record...}   left: messages behind the last one returned
         {'fenced'}                         another login owns the user
CALLERS  DC, when a broker asks for a user's queue

When `after` is not among the first (skip + 1024) the answer begins at the head: the
broker knows what is in flight and drops what it has already. ]]

if #KEYS ~= 3 or #ARGV ~= 8 then
	return redis.error_reply('ERR message_fetch: wants 3 KEYS and 8 ARGV')
end
local queue, presence, journal = KEYS[1], KEYS[2], KEYS[3]
local owner, after, skip = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_count, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local now, keep, lane = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
if not (skip and max_count and max_bytes and now and keep) then
	return redis.error_reply('ERR message_fetch: skip, max_count, max_bytes, now, keep must be numbers')
end
if lane ~= 'normal' and lane ~= 'high' and lane ~= 'low' then
	return redis.error_reply('ERR message_fetch: lane must be normal, high or low')
end
--@include record
--@include journal
local call = redis.call
local DEPTH = 1024 -- records looked at for `after`, beyond skip
local PAGE = 32    -- records read at a time

if call('HGET', presence, 'owner') ~= owner then return {'fenced'} end
call('LLEN', journal)

-- The index behind `after`, or 0.
local function find_start()
	if after == '' then return 0 end
	if skip > 0 then
		local there = call('LINDEX', queue, skip - 1)
		if there and sub(there, 1, 26) == after then return skip end
	end
	local start, limit = 0, math.max(skip, 0) + DEPTH
	each_record(queue, 0, function(record, at)
		if at >= limit then return true end
		if sub(record, 1, 26) == after then start = at + 1 end
		return start > 0
	end)
	return start
end

local answer = {'ok', 0, 0}
local at, count, bytes, expired = find_start(), 0, 0, 0

-- Takes what may be returned of one chunk, removes what expired; true when more is wanted.
local function take_chunk(size)
	local chunk = call('LRANGE', queue, at, at + size - 1)
	local kept, dead, full = 0, {}, false
	for i = 1, #chunk do
		local record = chunk[i]
		if is_expired(record, now) then
			ended('expired', record)
			dead[#dead + 1] = at + i - 1
		elseif count > 0 and bytes + #record > max_bytes then
			full = true
			break
		else
			kept, count, bytes = kept + 1, count + 1, bytes + #record
			answer[count + 3] = record
		end
	end
	take_out(queue, dead)
	at, expired = at + kept, expired + #dead
	return not full and #chunk == size
end

if max_count < 1 then max_count = 1 end
while count < max_count and take_chunk(math.min(PAGE, max_count - count)) do end

write_journal(journal, now, keep)
if count > 0 then
	call('HSET', presence, 'handed:' .. lane,
		string.format('%s %.0f', sub(answer[count + 3], 1, 26), now))
end
answer[2] = call('LLEN', queue) - at
answer[3] = expired
return answer
