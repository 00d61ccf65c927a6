/* The program on the command line: options, subcommands, exit codes. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

struct said {
    int status;
    char *text; /* stdout and stderr */
    size_t size;
};

/* A line for sh in which convolved is the program under test. */
static struct said shell(const char *line)
{
    enum { MOST = 1 << 22 };
    struct said said = { .text = keep(calloc(1, MOST)) };
    FILE *pipe =
        popen(text_format("convolved() { '%s' \"$@\"; }; { %s; } 2>&1", program_path(), line), "r");
    int status;

    assert_non_null(pipe);
    said.size = fread(said.text, 1, MOST - 1, pipe);
    status = pclose(pipe);
    said.status = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    return said;
}

static void assert_says(const char *line, int status, const char *words)
{
    struct said said = shell(line);

    if (said.status != status)
        fail_msg("%s: exit code %d, not %d: %.500s", line, said.status, status, said.text);
    if (!strstr(said.text, words))
        fail_msg("%s: \"%s\" is not in: %.500s", line, words, said.text);
}

TEST(help_lists_every_option_with_its_default)
{
    struct said said = shell("convolved --help");

    assert_int_equal(said.status, 0);
#define OPTION(kind, name, preset, min, max, help)                                                 \
    {                                                                                              \
        char *flag = text_format("--%s", #name), *line;                                            \
        for (char *at = flag; *at; at++)                                                           \
            if (*at == '_')                                                                        \
                *at = '-';                                                                         \
        line = strstr(said.text, flag);                                                            \
        if (!line || !strstr(line, help))                                                          \
            fail_msg("%s is not in --help", flag);                                                 \
    }
#include "server/options.def"
}

TEST(the_man_page_has_the_options_of_help_and_the_exit_codes)
{
    struct said page = shell("cat server/convolved.8");
    struct said written =
        shell(text_format("tests/tools/man.sh '%s' server/convolved.8", program_path()));

    assert_int_equal(written.status, 0);
    if (strcmp(page.text, written.text))
        fail_msg("server/convolved.8 has not the options of --help: run make man");
    for (char code = '0'; code <= '3'; code++)
        assert_non_null(strstr(page.text, text_format("\n.B %c\n", code)));
    assert_non_null(strstr(page.text, "\\-\\-metrics\\-listen"));
    if (!shell("command -v man").status)
        assert_says("test -z \"$(man -l --warnings server/convolved.8 2>&1 >/dev/null)\"", 0, "");
}

TEST(the_systemd_unit_is_one)
{
    const char *line = "d=$(mktemp -d) && sed \"s|/usr/local/bin/convolved|%s|\" "
                       "server/convolved.service >$d/convolved.service && "
                       "systemd-analyze verify --man=no $d/convolved.service; s=$?; rm -r $d; "
                       "exit $s";
    struct said said = shell("command -v systemd-analyze");

    if (said.status) {
        printf("NOT RUN: there is no systemd-analyze here\n");
        skip();
    }
    said = shell(text_format(line, program_path()));
    if (said.status || *said.text)
        fail_msg("systemd-analyze: %s", said.text);
}

TEST(a_flag_beats_the_environment_which_beats_the_default_and_print_config_says_so)
{
    assert_says("convolved --print-config | grep ^queue | tr -s ' '", 0, "queue 64 default");
    assert_says("CONVOLVED_QUEUE=5 convolved --print-config | grep ^queue | tr -s ' '", 0,
                "queue 5 environment");
    assert_says("CONVOLVED_QUEUE=5 convolved --queue 7 --print-config | grep ^queue | tr -s ' '", 0,
                "queue 7 ");
    assert_says("PORT=1234 convolved --print-config | grep listen", 0, "1234");
}

TEST(a_wrong_command_line_is_exit_code_2_and_names_the_fix)
{
    assert_says("convolved --que 5", 2, "--queue");
    assert_says("convolved --queue", 2, "--queue");
    assert_says("convolved --queue none", 2, "--queue");
    assert_says("convolved --queue 0", 2, "65536");
    assert_says("convolved --max-body 5parsecs", 2, "MiB");
    assert_says("convolved sevre", 2, "serve");
    assert_says("CONVOLVED_QUEUE=many convolved version", 2, "environment");
}

TEST(an_unknown_variable_is_a_warning)
{
    assert_says("CONVOLVED_QUEU=5 convolved --print-config", 0, "CONVOLVED_QUEU");
}

TEST(a_port_that_is_taken_is_exit_code_3)
{
    struct daemon *daemon = daemon_shared();

    assert_says(text_format("convolved --listen 127.0.0.1:%d", daemon->port), 3,
                text_format("%d", daemon->port));
    assert_says("convolved --listen nowhere.invalid", 2, "listen");
}

TEST(version_names_the_version_and_the_kernels)
{
    assert_says("convolved version", 0, "kernels");
}

TEST(healthcheck_tells_a_running_server_from_none)
{
    struct daemon *daemon = daemon_start();
    char *line = text_format("CONVOLVED_LISTEN=127.0.0.1:%d convolved healthcheck", daemon->port);
    char *any = text_format("CONVOLVED_LISTEN=0.0.0.0:%d convolved healthcheck", daemon->port);

    assert_int_equal(shell(line).status, 0);
    assert_int_equal(shell(any).status, 0); /* as in the container */
    assert_int_equal(daemon_stop(daemon), 0);
    assert_int_equal(shell(line).status, 1);
}

TEST(run_answers_as_the_server_does_without_one)
{
    struct said here = shell("convolved run tests/cases/pictures/cat.jpg kernel=sobel_x "
                             "format=npy");
    size_t size;
    char *file = file_read("tests/cases/pictures/cat.jpg", &size);
    struct answer *there =
        http_send(.path = "/convolve?kernel=sobel_x&format=npy", .body = file, .size = size);

    assert_int_equal(here.status, 0);
    assert_int_equal(there->status, 200);
    assert_int_equal(here.size, there->size);
    assert_memory_equal(here.text, there->body, here.size);
    assert_says("convolved run - kernel=sobel_x format=png < tests/cases/pictures/cat.jpg | "
                "head -c 4",
                0, "PNG");
    assert_says("convolved run tests/cases/pictures/cat.jpg kernel=sobel_y strid=2", 1, "stride");
    assert_says("convolved run /nowhere kernel=sobel_y", 1, "/nowhere");
}
