/* Promises 7 and 11: two replicas behind Debian's haproxy and nginx. Restarts lose no request, and
 * no ambiguous request makes a proxy and the daemon disagree about where the next one begins.
 * RESTARTS=20. */
#include "tests/torture/endure.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_FORM = 20, RATE = 200, CONNECTIONS = 8 };

#define TINY                                                                                       \
    "{\"image\":{\"sample\":\"noise\",\"size\":48},\"weights\":\"edges\",\"format\":\"raw\"}"

static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

/* Two replicas, and before them one proxy of each kind that is installed (port 0: not here). */
struct cluster {
    int ports[2], haproxy, nginx;
    struct daemon *replicas[2];
    char folder[64];
    pid_t proxies[2];
    int log;
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static bool installed(const char *program)
{
    if (!system(text_format("PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null", program)))
        return true;
    printf("NOT RUN: there is no %s here (Debian: apt-get install %s)\n", program,
           strcmp(program, "nginx") ? program : "nginx-light");
    return false;
}

static void start_haproxy(struct cluster *cluster)
{
    const char *path = text_format("%s/haproxy.cfg", cluster->folder);

    cluster->haproxy = free_port();
    write_file(
        path,
        text_format("global\n maxconn 500\n"
                    "defaults\n mode http\n timeout connect 2s\n timeout client 30s\n"
                    " timeout server 30s\n timeout check 10s\n option redispatch\n retries 3\n"
                    " http-reuse always\n"
                    "frontend in\n bind 127.0.0.1:%d\n default_backend replicas\n"
                    "backend replicas\n balance roundrobin\n"
                    " option httpchk\n http-check send meth GET uri /readyz hdr Host localhost\n"
                    " http-check expect status 200\n"
                    " default-server check inter 100ms fall 1 rise 1\n"
                    " server a 127.0.0.1:%d\n server b 127.0.0.1:%d\n",
                    cluster->haproxy, cluster->ports[0], cluster->ports[1]));
    cluster->proxies[0] = process_start(
        (const char *const[]){ "/usr/sbin/haproxy", "-db", "-f", path, NULL }, cluster->log);
}

static void start_nginx(struct cluster *cluster)
{
    const char *path = text_format("%s/nginx.conf", cluster->folder);

    cluster->nginx = free_port();
    write_file(
        path,
        text_format("daemon off;\n%serror_log stderr crit;\npid %s/pid;\nworker_processes 1;\n"
                    "events { worker_connections 500; }\n"
                    "http {\n access_log off;\n client_body_temp_path %s/body;\n"
                    " proxy_temp_path %s/proxy;\n fastcgi_temp_path %s/f;\n uwsgi_temp_path %s/u;\n"
                    " scgi_temp_path %s/s;\n"
                    " upstream replicas {\n  server 127.0.0.1:%d max_fails=0;\n"
                    "  server 127.0.0.1:%d max_fails=0;\n  keepalive 8;\n }\n"
                    " server {\n  listen 127.0.0.1:%d;\n  keepalive_requests 1000000;\n"
                    "  location / {\n   proxy_pass http://replicas;\n   proxy_http_version 1.1;\n"
                    "   proxy_set_header Connection \"\";\n   proxy_set_header Host localhost;\n"
                    "   proxy_next_upstream error timeout http_503 non_idempotent;\n"
                    "  }\n }\n}\n",
                    geteuid() ? "" : "user root;\n", cluster->folder, cluster->folder,
                    cluster->folder, cluster->folder, cluster->folder, cluster->folder,
                    cluster->ports[0], cluster->ports[1], cluster->nginx));
    cluster->proxies[1] =
        process_start((const char *const[]){ "/usr/sbin/nginx", "-e", "stderr", "-p",
                                             cluster->folder, "-c", path, NULL },
                      cluster->log);
}

static struct daemon *start_replica(int port)
{
    return daemon_start("--listen", text_format("127.0.0.1:%d", port), "--drain-delay", "500ms",
                        "--workers", "1", "--log-level", "info");
}

/* A 200 through this port, or the test fails after 10 s. */
static void wait_for_port(const struct cluster *cluster, int port)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    char *log;
    struct stat about;

    for (int i = 0; i < 500; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up = !connect(fd, (struct sockaddr *)&to, sizeof to);

        close(fd);
        if (up) {
            struct outcome outcome = attack(port, request, sizeof request - 1, 5000);

            free(outcome.data);
            if (outcome.status == 200)
                return;
        }
        usleep(20000);
    }
    fstat(cluster->log, &about);
    log = keep(calloc(1, (size_t)about.st_size + 1));
    assert_true(pread(cluster->log, log, (size_t)about.st_size, 0) >= 0);
    fail_msg("the proxy does not answer: %s", log);
}

static bool cluster_start(struct cluster *cluster)
{
    bool haproxy = installed("haproxy"), nginx = installed("nginx");

    *cluster = (struct cluster){ .folder = "/tmp/convolved-drain-XXXXXX" };
    if (!haproxy && !nginx)
        return false;
    assert_non_null(mkdtemp(cluster->folder));
    cluster->log = memfd_create("log", MFD_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        cluster->ports[i] = free_port();
        cluster->replicas[i] = start_replica(cluster->ports[i]);
    }
    if (haproxy)
        start_haproxy(cluster);
    if (nginx)
        start_nginx(cluster);
    if (haproxy)
        wait_for_port(cluster, cluster->haproxy);
    if (nginx)
        wait_for_port(cluster, cluster->nginx);
    return true;
}

static void cluster_stop(struct cluster *cluster)
{
    for (int i = 0; i < 2; i++) {
        if (cluster->proxies[i]) {
            kill(cluster->proxies[i], SIGTERM);
            waitpid(cluster->proxies[i], NULL, 0);
        }
        assert_int_equal(daemon_stop(cluster->replicas[i]), 0);
    }
    assert_int_equal(system(text_format("rm -r '%s'", cluster->folder)), 0);
}

/* --- restarts --- */

/* At a steady rate till it is told to stop. A connection that ends before its reply is a loss. */
static void keep_asking(struct shared *shared, void *arg)
{
    struct load load = { .port = *(int *)arg,
                         .connections = CONNECTIONS,
                         .rate = RATE,
                         .seconds = 1,
                         .request = posted(TINY),
                         .check = tally_reply };
    struct tally tally = { .load = &load,
                           .compare = true,
                           .done_ms = malloc(sizeof(double) << 20) };

    load.arg = &tally;
    load.request_size = strlen(load.request);
    while (!atomic_load(&shared->stop)) {
        tally.done = tally.refused = tally.wrong = 0;
        if (!load_run(&load)) {
            atomic_fetch_add(&shared->wrong, 1);
            fprintf(stderr, "port %d: a connection ended before its reply\n", load.port);
        }
        if (tally.refused + tally.wrong)
            fprintf(stderr, "port %d: %zu refused, %zu wrong\n", load.port, tally.refused,
                    tally.wrong);
        atomic_fetch_add(&shared->count, (long)tally.done);
        atomic_fetch_add(&shared->wrong, (long)(tally.refused + tally.wrong));
        free(load.ms);
    }
}

/* Told to stop in the middle of its requests, up again, seen again; then the other. */
static void roll(struct cluster *cluster)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(daemon_stop(cluster->replicas[i]), 0);
        cluster->replicas[i] = start_replica(cluster->ports[i]);
        wait_for_port(cluster, cluster->ports[i]);
        usleep(300000); /* haproxy looks each 100 ms */
    }
}

TEST(rolling_restarts_behind_haproxy_and_nginx_lose_no_request)
{
    size_t restarts = count_from("RESTARTS", LONG_FORM);
    int *ports[2];
    struct helper helpers[2] = { 0 };
    struct cluster cluster;

    if (!cluster_start(&cluster))
        return;
    ports[0] = &cluster.haproxy;
    ports[1] = &cluster.nginx;
    for (int i = 0; i < 2; i++)
        if (*ports[i])
            helpers[i] = helper_start(keep_asking, ports[i]);
    for (size_t i = 0; i < restarts; i++)
        roll(&cluster);
    for (int i = 0; i < 2; i++)
        if (*ports[i])
            helper_stop(&helpers[i]);
    for (int i = 0; i < 2; i++)
        if (*ports[i])
            printf("%s: %zu rolling restarts of two replicas, %ld requests answered, %ld lost\n",
                   i ? "nginx" : "haproxy", restarts, atomic_load(&helpers[i].shared->count),
                   atomic_load(&helpers[i].shared->wrong));
    cluster_stop(&cluster);
    for (int i = 0; i < 2; i++)
        if (*ports[i]) {
            assert_int_equal(atomic_load(&helpers[i].shared->wrong), 0);
            assert_true(atomic_load(&helpers[i].shared->count) >= (long)restarts * RATE);
        }
}

/* --- desync --- */

/* Ways to say, or half say, how long a body is. */
static const char *const framings[] = {
    "",
    "Content-Length: 0\r\n",
    "Content-Length: 6\r\n",
    "Content-Length: +6\r\n",
    "Content-Length: 6, 6\r\n",
    "Content-Length: 06\r\n",
    "Content-Length:\r\n 6\r\n",
    "Content-Length : 6\r\n",
    "Content: 6\r\n -Length: 6\r\n",
    "Content-Length: 6\n",
    "Content-Length: 18446744073709551622\r\n",
    "Content_Length: 6\r\n",
    "X: a\rContent-Length: 6\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: \x0b"
    "chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "transfer-encoding: Chunked\r\n",
};
enum { FRAMINGS = sizeof framings / sizeof framings[0] };

/* What follows the head; each ends in something that would be a request if the one before it had
 * ended sooner. */
#define HIDDEN "GET /hidden HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: hidden\r\n\r\n"
static const char *const bodies[] = {
    "0\r\n\r\n" HIDDEN,
    "6\r\nabcdef\r\n0\r\n\r\n" HIDDEN,
    "6;a=b\r\nabcdef\r\n0\r\nX: y\r\n\r\n" HIDDEN,
    "0x6\r\nabcdef\r\n0\r\n\r\n" HIDDEN,
    "6\nabcdef\n0\n\n" HIDDEN,
    "6\r\nabcdefXX0\r\n\r\n" HIDDEN,
    "100000000000000006\r\nabcdef\r\n0\r\n\r\n" HIDDEN,
    "-1\r\nabcdef\r\n0\r\n\r\n" HIDDEN,
};
enum { BODIES = sizeof bodies / sizeof bodies[0] };

/* Sends it and does not wait for more than what comes at once. */
static void provoke(int port, const char *request)
{
    struct outcome outcome = attack(port, request, strlen(request), 30);

    free(outcome.data);
}

/* An innocent request must get its own reply: its id says whose it is. */
static bool innocent(int port, size_t number)
{
    const char *id = text_format("innocent-%zu", number);
    const char *request =
        text_format("GET /plan?input=3x8x8&K=2&F=3 HTTP/1.1\r\nHost: localhost\r\n"
                    "X-Request-ID: %s\r\nConnection: close\r\n\r\n",
                    id);
    struct outcome outcome = attack(port, request, strlen(request), 10000);
    bool own = outcome.status == 200 && strcasestr(outcome.head, id);

    if (!own)
        printf("%s got %d: %.200s\n", id, outcome.status, outcome.head);
    free(outcome.data);
    return own;
}

static size_t confuse(int port, const char *name)
{
    size_t count = 0, mixed_up = 0;
    int step = count_from("RESTARTS", LONG_FORM) < LONG_FORM ? 5 : 1;

    for (int first = 0; first < FRAMINGS; first += step)
        for (int second = 0; second < FRAMINGS; second++)
            for (int body = 0; body < (second ? 2 : BODIES); body++, count++) {
                provoke(port, text_format("POST /plan?input=3x8x8&K=2&F=3 HTTP/1.1\r\nHost: "
                                          "localhost\r\n%s%s\r\n%s",
                                          framings[first], framings[second], bodies[body]));
                mixed_up += !innocent(port, count);
            }
    printf("%s: %zu ambiguous requests, each before an innocent one: %zu mixed up\n", name, count,
           mixed_up);
    return mixed_up;
}

TEST(no_ambiguous_request_behind_haproxy_and_nginx_mixes_up_anothers_reply)
{
    struct cluster cluster;
    size_t mixed_up = 0;

    if (!cluster_start(&cluster))
        return;
    mixed_up += confuse(cluster.ports[0], "alone");
    if (cluster.haproxy)
        mixed_up += confuse(cluster.haproxy, "haproxy");
    if (cluster.nginx)
        mixed_up += confuse(cluster.nginx, "nginx");
    cluster_stop(&cluster);
    assert_int_equal(mixed_up, 0);
}
