/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <string.h>

enum { VERSION_DIGITS_MAX = 9 };

bool text_is(struct text_span s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.at, word, s.len) == 0;
}

bool text_take_line(struct text_span *left, struct text_span *line)
{
	if (left->len == 0)
		return false;
	const char *lf = memchr(left->at, '\n', left->len);
	size_t len = lf ? (size_t)(lf - left->at) : left->len;
	size_t taken = lf ? len + 1 : len;
	*line = (struct text_span){left->at, len > 0 && left->at[len - 1] == '\r' ? len - 1 : len};
	*left = (struct text_span){left->at + taken, left->len - taken};
	return true;
}

int text_number(struct text_span s, uint64_t lo, uint64_t hi, uint64_t *out)
{
	uint64_t v = 0;
	bool over = false;
	if (s.len == 0)
		return RS_EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.at[i] - (unsigned)'0';
		if (digit > 9)
			return RS_EINVAL;
		over = over || v > (UINT64_MAX - digit) / 10;
		v = v * 10 + digit;
	}
	if (over || v < lo || v > hi)
		return RS_ELIMIT;
	*out = v;
	return RS_OK;
}

const struct text_span *text_value(const struct text_request *r, const char *name)
{
	for (size_t i = 0; i < r->field_count; i++)
		if (text_is(r->fields[i].name, name))
			return &r->fields[i].value;
	return NULL;
}

/* The next line without its end. */
static int take_line(const char **at, const char *end, struct text_span *line, const char **fault)
{
	const char *start = *at;
	const char *lf = memchr(start, '\n', (size_t)(end - start));
	if (!lf)
		return RS_EAGAIN;
	size_t len = (size_t)(lf - start);
	if (len > 0 && start[len - 1] == '\r')
		len--;
	if (memchr(start, '\0', len)) {
		*fault = "the header contains a NUL byte; only the body may";
		return RS_EINVAL;
	}
	if (memchr(start, '\r', len)) {
		*fault = "the header contains a CR that is not followed by LF; lines end in CR LF";
		return RS_EINVAL;
	}
	*line = (struct text_span){start, len};
	*at = lf + 1;
	return RS_OK;
}

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/* Of a verb: capitals, and between them single hyphens. */
static size_t count_verb(struct text_span s)
{
	size_t n = 0;
	while (n < s.len && (is_upper(s.at[n]) || (s.at[n] == '-' && n > 0 && is_upper(s.at[n - 1]) &&
						     n + 1 < s.len && is_upper(s.at[n + 1]))))
		n++;
	return n;
}

static size_t count_digits(struct text_span s)
{
	size_t n = 0;
	while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
		n++;
	return n;
}

static int parse_first_line(struct text_span line, struct text_request *out, const char **fault)
{
	size_t verb = count_verb(line);
	struct text_span version = {line.at + verb + 1, verb + 1 < line.len ? line.len - verb - 1 : 0};
	if (verb == 0 || version.len == 0 || version.len > VERSION_DIGITS_MAX ||
	    line.at[verb] != ' ' || count_digits(version) != version.len) {
		*fault = "the first line is not a verb in capitals, one space and a version number, "
			 "as in \"SEND 1\"";
		return RS_EINVAL;
	}
	out->verb = (struct text_span){line.at, verb};
	out->version = version;
	return RS_OK;
}

static size_t count_name(struct text_span s)
{
	size_t n = 0;
	while (n < s.len && ((s.at[n] >= 'a' && s.at[n] <= 'z') || (s.at[n] >= '0' && s.at[n] <= '9') ||
			     s.at[n] == '-'))
		n++;
	return n;
}

static bool has_field(const struct text_request *r, struct text_span name)
{
	for (size_t i = 0; i < r->field_count; i++) {
		struct text_span other = r->fields[i].name;
		if (other.len == name.len && memcmp(other.at, name.at, name.len) == 0)
			return true;
	}
	return false;
}

static int parse_length(const struct text_field *f, struct text_request *out, const char **fault)
{
	uint64_t len = 0;
	int err = text_number(f->value, 0, SIZE_MAX, &len);
	if (err == RS_EINVAL) {
		out->at_fault = f->name;
		*fault = "the length is not a whole number of bytes";
		return err;
	}
	out->body_len = err ? SIZE_MAX : (size_t)len;
	return RS_OK;
}

static int parse_field(struct text_span line, struct text_request *out, const char **fault)
{
	size_t len = count_name(line);
	struct text_field f = {{line.at, len}, {line.at + len + 1, 0}};
	if (len == 0 || len == line.len || line.at[len] != ' ') {
		*fault = "a header line is not a name of a-z, 0-9 and -, one space and a value";
		return RS_EINVAL;
	}
	f.value.len = line.len - len - 1;
	if (has_field(out, f.name)) {
		out->at_fault = f.name;
		*fault = "a field is given twice; each may be given once";
		return RS_EINVAL;
	}
	if (out->field_count == TEXT_FIELDS_MAX) {
		*fault = "the header has more than 32 fields";
		return RS_ELIMIT;
	}
	out->fields[out->field_count++] = f;
	return text_is(f.name, "length") ? parse_length(&f, out, fault) : RS_OK;
}

/* An end that has not come within TEXT_HEADER_MAX bytes will not be waited for. */
static int no_line_yet(size_t len, const char **fault)
{
	if (len < TEXT_HEADER_MAX)
		return RS_EAGAIN;
	*fault = "the header is longer than 8192 bytes";
	return RS_ELIMIT;
}

int text_parse(const void *data, size_t len, struct text_request *out, const char **fault)
{
	const char *at = data;
	const char *end = at + (len < TEXT_HEADER_MAX ? len : TEXT_HEADER_MAX);
	struct text_span line;
	out->field_count = out->header_len = out->body_len = 0;
	out->at_fault = out->verb = out->version = (struct text_span){NULL, 0};
	int err = len ? take_line(&at, end, &line, fault) : RS_EAGAIN;
	if (!err)
		err = parse_first_line(line, out, fault);
	while (!err) {
		err = take_line(&at, end, &line, fault);
		if (!err && line.len == 0) {
			out->header_len = (size_t)(at - (const char *)data);
			return RS_OK;
		}
		if (!err)
			err = parse_field(line, out, fault);
	}
	return err == RS_EAGAIN ? no_line_yet(len, fault) : err;
}
