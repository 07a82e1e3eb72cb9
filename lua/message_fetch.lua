#!lua flags=allow-oom
--[[ Hands over the next messages of a user's queue; takes out expired ones on the way.

KEYS     1  queue      list of records, rs:{user}:queue
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token
         2  after      id of the last message the caller has, '' to begin at the head
         3  skip       how many messages up to and with `after` the caller believes to be
                       in the queue: a hint, checked before it is used
         4  max_count  the most records to return
         5  max_bytes  the most bytes to return; the first record is returned in any case
         6  now        ms since 1970
RETURNS  {'ok', left, expired, record...}   left: messages behind the last one returned
         {'fenced'}                         another login owns the user
CALLERS  DC, when a broker asks for a user's queue

When `after` is not among the first (skip + 1024) the answer begins at the head: the
broker knows what is in flight and drops what it has already. ]]

if #KEYS ~= 2 or #ARGV ~= 6 then
	return redis.error_reply('ERR message_fetch: wants 2 KEYS and 6 ARGV')
end
local queue, presence = KEYS[1], KEYS[2]
local owner, after, skip = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_count, max_bytes, now = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if not (skip and max_count and max_bytes and now) then
	return redis.error_reply('ERR message_fetch: skip, max_count, max_bytes, now must be numbers')
end
local call, sub = redis.call, string.sub
local CHUNK = 32   -- records read at a time
local DEPTH = 1024 -- records looked at for `after`, beyond skip

if call('HGET', presence, 'owner') ~= owner then return {'fenced'} end

-- A record that cannot be read counts as not expired: never delete what is not understood.
local function is_expired(record)
	local space = string.find(record, ' ', 28, true)
	local ends = space and tonumber(sub(record, space + 15, space + 27))
	return ends and ends <= now
end

-- The index behind `after`, or 0.
local function find_start()
	if after == '' then return 0 end
	if skip > 0 then
		local there = call('LINDEX', queue, skip - 1)
		if there and sub(there, 1, 26) == after then return skip end
	end
	local at, limit = 0, math.max(skip, 0) + DEPTH
	while at < limit do
		local size = math.min(CHUNK, limit - at)
		local chunk = call('LRANGE', queue, at, at + size - 1)
		for i = 1, #chunk do
			if sub(chunk[i], 1, 26) == after then return at + i end
		end
		if #chunk < size then return 0 end
		at = at + size
	end
	return 0
end

local answer = {'ok', 0, 0}
local at, count, bytes, expired = find_start(), 0, 0, 0

-- Takes what may be returned of one chunk, removes what expired; true when more is wanted.
local function take_chunk(size)
	local chunk = call('LRANGE', queue, at, at + size - 1)
	local kept, head, dead, full = 0, 0, {}, false
	for i = 1, #chunk do
		local record = chunk[i]
		if is_expired(record) then
			if at == 0 and kept == 0 then head = head + 1 else dead[#dead + 1] = record end
		elseif count > 0 and bytes + #record > max_bytes then
			full = true
			break
		else
			kept, count, bytes = kept + 1, count + 1, bytes + #record
			answer[count + 3] = record
		end
	end
	if head > 0 then call('LTRIM', queue, head, -1) end
	for i = 1, #dead do call('LREM', queue, 1, dead[i]) end
	at, expired = at + kept, expired + head + #dead
	return not full and #chunk == size
end

if max_count < 1 then max_count = 1 end
while count < max_count and take_chunk(math.min(CHUNK, max_count - count)) do end

answer[2] = call('LLEN', queue) - at
answer[3] = expired
return answer
