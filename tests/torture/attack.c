/* A client without manners: whole requests as bytes, each on its own connection. */
#include "tests/torture/attack.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

size_t count_from(const char *name, size_t everyday)
{
    const char *text = getenv(name);

    return text && *text ? strtoul(text, NULL, 10) : everyday;
}

/* xorshift64* */
uint64_t random_bits(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

size_t random_below(uint64_t *state, size_t count)
{
    return count ? (size_t)(random_bits(state) >> 11) % count : 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double quantile(double *values, size_t count, double part)
{
    qsort(values, count, sizeof *values, compare);
    return count ? values[(size_t)(part * (double)(count - 1) + 0.5)] : 0;
}

/* --- the daemon's process --- */

size_t process_kib(pid_t pid, const char *field)
{
    char path[64], line[256];
    size_t kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field)) && line[strlen(field)] == ':')
            kib = strtoul(line + strlen(field) + 1, NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

void process_forget_peak(pid_t pid)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        fail_msg("cannot reset the peak of memory: %s", path);
    close(fd);
}

int process_files(pid_t pid)
{
    char path[64];
    int count = 0;
    DIR *folder;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count - 2;
}

/* --- one exchange --- */

struct exchange {
    int fd;
    const char *out;
    size_t left;
    char *in;
    size_t got, room, whole; /* whole: the reply's size; 0 as long as it is not known */
    double sent_ms;
    bool ended, bodiless; /* it was a HEAD */
};

/* false: nobody listens there. */
static bool connect_to(int port, int *to)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    *to = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return !connect(fd, (struct sockaddr *)&address, sizeof address);
}

/* Behind 1xx there is another head. */
static size_t head_size(const char *data, size_t got)
{
    const char *end = memmem(data, got, "\r\n\r\n", 4);

    return end ? (size_t)(end - data) + 4 : 0;
}

static void measure(struct exchange *x)
{
    size_t head = x->whole ? 0 : head_size(x->in, x->got);
    const char *length;

    if (head && x->got > 9 && x->in[9] == '1') {
        memmove(x->in, x->in + head, x->got -= head);
        return;
    }
    if (!head)
        return;
    x->in[head - 2] = '\0';
    length = strcasestr(x->in, "\r\nContent-Length:");
    x->in[head - 2] = '\r';
    if (x->bodiless || !strncmp(x->in + 9, "204", 3))
        x->whole = head;
    else if (length)
        x->whole = head + strtoul(length + 17, NULL, 10);
}

static void receive_some(struct exchange *x)
{
    ssize_t count;

    if (x->room - x->got < 65536)
        x->in = realloc(x->in, (x->room = 2 * x->room + 131072) + 1);
    assert_non_null(x->in);
    count = recv(x->fd, x->in + x->got, x->room - x->got, MSG_DONTWAIT);
    if (count > 0) {
        x->got += (size_t)count;
        x->in[x->got] = '\0';
        measure(x);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        x->ended = true;
    }
}

static void send_some(struct exchange *x)
{
    ssize_t count = send(x->fd, x->out, x->left, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (count > 0) {
        x->out += count;
        x->left -= (size_t)count;
    } else if (errno != EAGAIN && errno != EINTR) {
        x->left = 0; /* it does not listen any more; what it has said is still to be read */
    }
    if (!x->left)
        x->sent_ms = now_ms();
}

static struct outcome understand(struct exchange *x)
{
    struct outcome outcome = {
        .status = SILENT, .head = "", .body = "", .bodiless = x->bodiless, .data = x->in
    };
    size_t head = x->in ? head_size(x->in, x->got) : 0;

    if (x->ended && !x->got)
        outcome.status = CLOSED;
    else if (x->ended)
        outcome.status = BROKEN;
    if (!head || strncmp(x->in, "HTTP/1.1 ", 9) || (!x->ended && x->got < x->whole))
        return outcome;
    if (x->got < x->whole)
        return outcome; /* cut in its middle */
    outcome.status = atoi(x->in + 9);
    x->in[head - 1] = '\0';
    outcome.head = x->in;
    outcome.body = x->in + head;
    outcome.size = x->got - head;
    return outcome;
}

struct outcome attack(int port, const void *bytes, size_t size, int patience_ms)
{
    double began = now_ms(), left = patience_ms;
    struct exchange x = { .out = bytes,
                          .left = size,
                          .sent_ms = began,
                          .bodiless = size > 5 && !memcmp(bytes, "HEAD ", 5) };
    struct outcome outcome;

    x.ended = !connect_to(port, &x.fd);
    if (size && !x.ended)
        send_some(&x);
    while (!x.ended && !(x.whole && x.got >= x.whole) && left > 0) {
        struct pollfd wait = { .fd = x.fd, .events = POLLIN | (x.left ? POLLOUT : 0) };

        if (poll(&wait, 1, (int)left + 1) > 0) {
            if (wait.revents & (POLLIN | POLLHUP | POLLERR))
                receive_some(&x);
            if (x.left && !x.ended && (wait.revents & POLLOUT))
                send_some(&x);
        }
        left = began + patience_ms - now_ms();
    }
    close(x.fd);
    outcome = understand(&x);
    outcome.ms = now_ms() - began;
    outcome.late_ms = now_ms() - x.sent_ms;
    return outcome;
}

bool outcome_is_problem(const struct outcome *outcome)
{
    cJSON *json;
    bool is;

    if (outcome->bodiless)
        return true;
    if (!strcasestr(outcome->head, "\r\nContent-Type: application/problem+json"))
        return !outcome->size || !strncmp(outcome->body, "<html>", 6) ||
               !strncmp(outcome->body, "HTTP/1.1 4", 10); /* it says its head twice */
    json = cJSON_ParseWithLength(outcome->body, outcome->size);
    is = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "status")) == outcome->status;
    cJSON_Delete(json);
    return is;
}

/* --- requests as bytes --- */

struct blob request_with_body(const struct request *request, const void *body, size_t size)
{
    size_t head = strlen(request->head);
    struct blob blob = { malloc(head + size + 128), head };

    assert_non_null(blob.data);
    memcpy(blob.data, request->head, head);
    if (request->body && !strcasestr(request->head, "Transfer-Encoding:"))
        blob.size += (size_t)sprintf(blob.data + blob.size, "Content-Length: %zu\r\n", size);
    blob.size += (size_t)sprintf(blob.data + blob.size, "Connection: close\r\n\r\n");
    if (size)
        memcpy(blob.data + blob.size, body, size);
    blob.size += size;
    return blob;
}

struct blob request_bytes(const struct request *request)
{
    return request_with_body(request, request->body, request->size);
}

/* --- folders of layers --- */

const char *folder_create(void)
{
    char *folder = keep(strdup("/tmp/convolved-torture-XXXXXX"));

    assert_non_null(mkdtemp(folder));
    return folder;
}

void folder_remove(const char *folder)
{
    assert_int_equal(system(text_format("rm -r %s", folder)), 0);
}
