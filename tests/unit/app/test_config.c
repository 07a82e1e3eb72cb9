/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct conf {
	char id[CONFIG_TEXT_MAX], key_file[CONFIG_TEXT_MAX], note[CONFIG_TEXT_MAX], durability[CONFIG_TEXT_MAX];
	struct addr listen_apps, listen_http;
	int64_t workers, offset;
	struct addr_set lbs;
	struct key_set lb_keys;
	struct isp_set isps;
	bool plaintext;
};

static const struct setting table[] = {
	SETTING(struct conf, id, SETTING_NAME, "dc1", "name of this daemon"),
	SETTING(struct conf, listen_apps, SETTING_ADDR, "127.0.0.1:7100", "TCP for Apps"),
	SETTING(struct conf, listen_http, SETTING_ADDR, NULL, "HTTP"),
	SETTING_RANGE(struct conf, workers, "4", 1, 64, "how many workers"),
	SETTING_RANGE(struct conf, offset, NULL, -3000000000, 3000000000, "some offset"),
	SETTING_OF(struct conf, durability, "fsync", "fsync|memory", "when a message counts as stored"),
	SETTING(struct conf, key_file, SETTING_PATH, NULL, "key"),
	SETTING(struct conf, note, SETTING_TEXT, "none", "a note"),
	SETTING(struct conf, lbs, SETTING_ADDRS, NULL, "balancers"),
	SETTING(struct conf, isps, SETTING_ISPS, NULL, "addresses of ISPs"),
	SETTING(struct conf, lb_keys, SETTING_KEYS, NULL, "keys of balancers"),
	SETTING(struct conf, plaintext, SETTING_FLAG, "no", "no TLS"),
};

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B "ffeeddccbbaa99887766554433221100FFEEDDCCBBAA99887766554433221100"

static struct temp_dir dir;
static char file[TEMP_PATH_MAX], fault[512];
static struct conf conf;
static char *args[16];
static int arg_count;

static void set_up(void) { temp_dir_make(&dir); }
static void tear_down(void) { temp_dir_remove(&dir); }
TestSuite(config, .init = set_up, .fini = tear_down);

static void write_file(const char *text) { temp_file(&dir, "x.conf", text, 0644, file); }

/* argv ends with NULL; the array must be writable. */
static int load_args(const char *path, char **argv)
{
	struct config_source src = {table, COUNT(table), path};
	arg_count = 0;
	for (args[arg_count++] = "prog"; *argv; argv++)
		args[arg_count++] = *argv;
	args[arg_count] = NULL;
	fault[0] = '\0';
	return config_load(&src, &arg_count, args, &conf, fault, sizeof fault);
}
#define LOAD(path, ...) load_args(path, (char *[]){__VA_ARGS__ __VA_OPT__(,) NULL})

static void expect_addr(const struct addr *a, const char *text)
{
	char got[ADDR_TEXT_MAX];
	cr_expect_str_eq(addr_format(a, got), text);
}

Test(config, what_is_not_given_has_its_default)
{
	memset(&conf, 0xff, sizeof conf);
	cr_assert_eq(LOAD(NULL), RS_OK, "%s", fault);
	cr_expect_str_eq(conf.id, "dc1");
	expect_addr(&conf.listen_apps, "127.0.0.1:7100");
	cr_expect_eq(conf.workers, 4);
	cr_expect_eq(conf.offset, 0);
	cr_expect_str_eq(conf.durability, "fsync");
	cr_expect_str_eq(conf.key_file, "");
	cr_expect_eq(conf.lbs.count, 0);
	cr_expect_eq(conf.lb_keys.count, 0);
	cr_expect_not(conf.plaintext);
	cr_expect_eq(addr_port(&conf.listen_http), 0);
}

Test(config, flags_win_over_environment_over_file_over_default)
{
	write_file("id = \"from-file\";\nworkers = 7;\nnote = \"from file\";\n");
	setenv("RESTANTE_ID", "from-env", 1);
	setenv("RESTANTE_WORKERS", "8", 1);
	cr_assert_eq(LOAD(file, "--id", "from-flag"), RS_OK, "%s", fault);
	cr_expect_str_eq(conf.id, "from-flag");
	cr_expect_eq(conf.workers, 8);
	cr_expect_str_eq(conf.note, "from file");
	cr_expect_str_eq(conf.durability, "fsync");
}

Test(config, the_file_takes_each_kind)
{
	write_file("# a comment\n"
		   "id = \"mb7\"\n"
		   "listen_apps = \"[::1]:1\"; listen_http = \"0.0.0.0:80\";\n"
		   "workers = \"10\";\n"
		   "offset = -3000000000L;\n"
		   "durability : \"memory\";\n"
		   "key_file = \"/etc/restante/key\";\n"
		   "note = \"\";\n"
		   "lbs = [\"127.0.0.1:7300\", \"[::1]:7301\"];\n"
		   "lb_keys = \"" KEY_A " , " KEY_B "\";\n"
		   "plaintext = \"yes\";\n");
	cr_assert_eq(LOAD(file), RS_OK, "%s", fault);
	cr_expect_str_eq(conf.id, "mb7");
	expect_addr(&conf.listen_apps, "[::1]:1");
	expect_addr(&conf.listen_http, "0.0.0.0:80");
	cr_expect_eq(conf.workers, 10);
	cr_expect_eq(conf.offset, -3000000000);
	cr_expect_str_eq(conf.durability, "memory");
	cr_expect_str_eq(conf.key_file, "/etc/restante/key");
	cr_expect_str_eq(conf.note, "");
	cr_assert_eq(conf.lbs.count, 2);
	expect_addr(&conf.lbs.at[0], "127.0.0.1:7300");
	expect_addr(&conf.lbs.at[1], "[::1]:7301");
	cr_assert_eq(conf.lb_keys.count, 2);
	cr_expect_eq(conf.lb_keys.at[0][1], 0x11);
	cr_expect_eq(conf.lb_keys.at[1][0], 0xff);
	cr_expect(conf.plaintext);
}

Test(config, truth_and_numbers_need_no_quotes_in_the_file)
{
	write_file("plaintext = true;\nworkers = 64;\nid = 5;\n");
	cr_assert_eq(LOAD(file), RS_OK, "%s", fault);
	cr_expect(conf.plaintext);
	cr_expect_eq(conf.workers, 64);
	cr_expect_str_eq(conf.id, "5");
}

Test(config, flags_come_in_both_forms_and_the_rest_stays)
{
	cr_assert_eq(LOAD(NULL, "send", "--key-file=/k", "--other", "x", "--workers", "9", "alice", "--", "--id", "z"),
		     RS_OK, "%s", fault);
	cr_expect_str_eq(conf.key_file, "/k");
	cr_expect_eq(conf.workers, 9);
	cr_expect_str_eq(conf.id, "dc1");
	static const char *const left[] = {"prog", "send", "--other", "x", "alice", "--", "--id", "z"};
	cr_assert_eq(arg_count, (int)COUNT(left));
	for (int i = 0; i < arg_count; i++)
		cr_expect_str_eq(args[i], left[i]);
	cr_expect_null(args[arg_count]);
}

Test(config, a_flag_given_twice_counts_the_last_time)
{
	cr_assert_eq(LOAD(NULL, "--workers=2", "--workers=3"), RS_OK);
	cr_expect_eq(conf.workers, 3);
}

Test(config, variables_of_other_programs_are_let_be)
{
	setenv("RESTANTE_SOMETHING_ELSE", "x", 1);
	cr_expect_eq(LOAD(NULL), RS_OK, "%s", fault);
}

/* text of the file -> what is said; %F stands for the file's name */
static const struct {
	const char *text, *fault;
} file_faults[] = {
	{"\n\nlisten_apps = \"localhost\";",
	 "%F:3: listen_apps = \"localhost\": not an address; write ip:port, for example 127.0.0.1:7100"},
	{"id = \"a\";\n\n\nlistne = \"127.0.0.1:1\";", "unknown setting \"listne\" in %F:4; did you mean \"listen_apps\"?"},
	{"worker = 3;", "unknown setting \"worker\" in %F:1; did you mean \"workers\"?"},
	{"durabiltiy = \"fsync\";", "unknown setting \"durabiltiy\" in %F:1; did you mean \"durability\"?"},
	{"xyzzy = 3;", "unknown setting \"xyzzy\" in %F:1; --help lists all settings"},
	{"key-file = \"/k\";", "unknown setting \"key-file\" in %F:1; did you mean \"key_file\"?"},
	{"workers = 65;", "%F:1: workers = 65: out of range; must be from 1 to 64"},
	{"workers = 0;", "%F:1: workers = 0: out of range; must be from 1 to 64"},
	{"workers = \"x\";", "%F:1: workers = \"x\": not a number; write a whole number from 1 to 64"},
	{"workers = 1.5;", "%F:1: workers = 1.5: not a number; write a whole number from 1 to 64"},
	{"offset = 99999999999;",
	 "%F:1: offset = 99999999999: out of range; must be from -3000000000 to 3000000000"},
	{"offset = 4294967297;",
	 "%F:1: offset = 4294967297: out of range; must be from -3000000000 to 3000000000"},
	{"offset = \"99999999999999999999\";",
	 "%F:1: offset = \"99999999999999999999\": out of range; must be from -3000000000 to 3000000000"},
	{"durability = \"banana\";", "%F:1: durability = \"banana\": must be one of fsync, memory"},
	{"id = \"\";", "%F:1: id = \"\": is empty; write 1 to 64 bytes of printable UTF-8 without spaces or braces"},
	{"id = \"a b\";",
	 "%F:1: id = \"a b\": contains a space; write 1 to 64 bytes of printable UTF-8 without spaces or braces"},
	{"plaintext = \"maybe\";", "%F:1: plaintext = \"maybe\": must be yes or no"},
	{"lbs = [\"127.0.0.1:1\", \"nowhere\"];",
	 "%F:1: lbs = \"127.0.0.1:1,nowhere\": \"nowhere\" is not an address; write ip:port,ip:port, for example "
	 "127.0.0.1:7300,127.0.0.1:7310"},
	{"lbs = \"127.0.0.1:1,\";",
	 "%F:1: lbs = \"127.0.0.1:1,\": \"\" is not an address; write ip:port,ip:port, for example "
	 "127.0.0.1:7300,127.0.0.1:7310"},
	{"lbs = \"0.0.0.0:1,0.0.0.0:2,0.0.0.0:3,0.0.0.0:4,0.0.0.0:5,0.0.0.0:6,0.0.0.0:7,0.0.0.0:8,0.0.0.0:9\";",
	 "%F:1: lbs = \"0.0.0.0:1,0.0.0.0:2,0.0.0.0:3,0.0.0.0:4,0.0.0.0:5,0.0.0.0:6,...\": too many; at most 8"},
	{"isps = \"norda=1.2.3.4\";",
	 "%F:1: isps = \"norda=1.2.3.4\": wants ISP=ip:port, several with commas between, for example norda=203.0.113.7:7200"},
	{"lb_keys = \"00ff\";",
	 "%F:1: lb_keys = \"00ff\": \"00ff\" is not a key; write 64 hexadecimal digits, several keys with commas between"},
	{"id = {a = 1;};", "%F:1: id: a group is no value; write id = \"...\";"},
	{"id = \"a\"; id = \"b\";", "%F:1: duplicate setting name; write one name = value; to a line"},
	{"id = \"a\";\nworkers 3", "%F:2: syntax error; write one name = value; to a line"},
};

static void expand(const char *form, char out[512])
{
	const char *mark = strstr(form, "%F");
	if (mark)
		snprintf(out, 512, "%.*s%s%s", (int)(mark - form), form, file, mark + 2);
	else
		snprintf(out, 512, "%s", form);
}

Test(config, faults_in_the_file_say_where_and_what_would_be_right)
{
	char want[512];
	for (size_t i = 0; i < COUNT(file_faults); i++) {
		write_file(file_faults[i].text);
		expand(file_faults[i].fault, want);
		cr_expect_eq(LOAD(file), RS_EINVAL, "taken: %s", file_faults[i].text);
		cr_expect_str_eq(fault, want, "got:  %s\nwant: %s", fault, want);
	}
}

/* A fault in the file counts also when a flag would have won. */
Test(config, a_flag_does_not_hide_a_fault_in_the_file)
{
	write_file("workers = 65;");
	cr_expect_eq(LOAD(file, "--workers", "3"), RS_EINVAL);
}

static const struct {
	const char *name, *value, *fault;
} flag_faults[] = {
	{"--durability", "banana", "--durability banana: must be one of fsync, memory"},
	{"--durability", "fsyn", "--durability fsyn: must be one of fsync, memory"},
	{"--durability", "", "--durability \"\": must be one of fsync, memory"},
	{"--durability", "fsync|memory", "--durability fsync|memory: must be one of fsync, memory"},
	{"--workers", "65", "--workers 65: out of range; must be from 1 to 64"},
	{"--workers", "-1", "--workers -1: out of range; must be from 1 to 64"},
	{"--workers", "", "--workers \"\": not a number; write a whole number from 1 to 64"},
	{"--workers", " 3", "--workers  3: not a number; write a whole number from 1 to 64"},
	{"--workers", "3x", "--workers 3x: not a number; write a whole number from 1 to 64"},
	{"--listen-http", "7100", "--listen-http 7100: not an address; write ip:port, for example 127.0.0.1:7100"},
	{"--listen-http", "", "--listen-http \"\": not an address; write ip:port, for example 127.0.0.1:7100"},
	{"--id", "",
	 "--id \"\": is empty; write 1 to 64 bytes of printable UTF-8 without spaces or braces"},
	{"--id", "x\033[1m",
	 "--id x?[1m: contains a control character; write 1 to 64 bytes of printable UTF-8 without spaces or braces"},
	{"--lbs", "127.0.0.1:1,\033[31mred",
	 "--lbs 127.0.0.1:1,?[31mred: \"?[31mred\" is not an address; write ip:port,ip:port, for example "
	 "127.0.0.1:7300,127.0.0.1:7310"},
	{"--lb-keys", "\n",
	 "--lb-keys ?: \"?\" is not a key; write 64 hexadecimal digits, several keys with commas between"},
	{"--plaintext", "true", "--plaintext true: must be yes or no"},
	{"--key-file", NULL, "--key-file: needs a value (key)"},
};

Test(config, faults_in_flags_say_what_would_be_right)
{
	for (size_t i = 0; i < COUNT(flag_faults); i++) {
		char *argv[] = {(char *)(uintptr_t)flag_faults[i].name, (char *)(uintptr_t)flag_faults[i].value, NULL};
		cr_expect_eq(load_args(NULL, argv), RS_EINVAL, "taken: %s", flag_faults[i].fault);
		cr_expect_str_eq(fault, flag_faults[i].fault, "got:  %s\nwant: %s", fault, flag_faults[i].fault);
	}
}

Test(config, faults_in_the_environment_name_the_variable)
{
	setenv("RESTANTE_LISTEN_APPS", "here", 1);
	cr_expect_eq(LOAD(NULL), RS_EINVAL);
	cr_expect_str_eq(fault, "RESTANTE_LISTEN_APPS=\"here\": not an address; write ip:port, for example 127.0.0.1:7100");
}

Test(config, an_overlong_text_is_refused_and_the_longest_is_taken)
{
	char text[CONFIG_TEXT_MAX + 1];
	memset(text, 'x', CONFIG_TEXT_MAX);
	text[CONFIG_TEXT_MAX] = '\0';
	cr_expect_eq(LOAD(NULL, "--note", text), RS_EINVAL);
	cr_expect(strstr(fault, "...: too long; at most 255 bytes"), "%s", fault);
	text[CONFIG_TEXT_MAX - 1] = '\0';
	cr_expect_eq(LOAD(NULL, "--note", text), RS_OK);
	cr_expect_str_eq(conf.note, text);
	cr_expect_eq(LOAD(NULL, "--id", text), RS_EINVAL);
}

Test(config, a_value_too_long_for_any_setting_is_refused_in_the_file_too)
{
	static char text[8192];
	size_t at = (size_t)snprintf(text, sizeof text, "note = \"");
	memset(text + at, 'x', 6000);
	snprintf(text + at + 6000, sizeof text - at - 6000, "\";\n");
	write_file(text);
	cr_expect_eq(LOAD(file), RS_EINVAL);
	cr_expect(strstr(fault, "too long"), "%s", fault);
}

Test(config, a_file_that_is_not_there_is_named)
{
	char want[512];
	temp_path(&dir, "missing.conf", file);
	cr_expect_eq(LOAD(file), RS_EINVAL);
	expand("%F: No such file or directory", want);
	cr_expect_str_eq(fault, want);
	cr_expect_eq(LOAD(dir.path), RS_EINVAL, "a folder was taken for a file");
}

Test(config, a_small_fault_buffer_is_not_overrun)
{
	char small[10];
	struct config_source src = {table, COUNT(table), NULL};
	char *argv[] = {"prog", "--durability", "banana", NULL};
	int argc = 3;
	cr_expect_eq(config_load(&src, &argc, argv, &conf, small, sizeof small), RS_EINVAL);
	cr_expect_str_eq(small, "--durabil");
}

Test(config, help_shows_flag_default_range_and_variable)
{
	static char text[8192];
	FILE *f = fmemopen(text, sizeof text, "w");
	config_print_help(table, COUNT(table), f);
	fclose(f);
	cr_expect(strstr(text, "  --workers NUMBER\n      how many workers, 1 to 64\n"
			       "      default 4; RESTANTE_WORKERS\n"), "%s", text);
	cr_expect(strstr(text, "  --durability fsync|memory\n"));
	cr_expect(strstr(text, "  --key-file FILE\n      key\n      default none; RESTANTE_KEY_FILE\n"));
}
