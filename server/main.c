/* The program's subcommands, and the order in which a server starts and stops. */
#include "server/commands.h"
#include "server/config.h"
#include "server/http.h"
#include "server/listen.h"
#include "server/machine.h"
#include "server/routes.h"
#include "server/version.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FILES_BESIDES_CONNECTIONS = 64,
    WARM_MOST = 256 << 20 /* bytes kept between requests */
};

static void block_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void fit_files(struct config *config, const struct log *log)
{
    size_t files = machine_files(config->max_connections + FILES_BESIDES_CONNECTIONS);

    if (files >= config->max_connections + FILES_BESIDES_CONNECTIONS)
        return;
    config->max_connections = files > 2 * FILES_BESIDES_CONNECTIONS
                                  ? files - FILES_BESIDES_CONNECTIONS
                                  : FILES_BESIDES_CONNECTIONS;
    log_say(log, LOG_WARNING, "only %zu files may be open: --max-connections is %zu", files,
            config->max_connections);
}

static int complain(const char *sentence, int status)
{
    fprintf(stderr, "convolved: %s\n", sentence);
    return status;
}

static void announce(const struct service *service)
{
    printf("convolved %s listens on %s\n"
           "%d workers, %s kernels, OpenBLAS %s, %zu MiB for requests\n\n%s\n",
           VERSION, service->url, pool_workers(service->pool), conv_isa(), conv_blas_core(),
           service->config->memory >> 20, strchr(service->guide, '\n') + 2);
    fflush(stdout);
}

/* The pool is drained before the jobs that its tasks look at are gone. */
static int serve_on(struct service *service, int listener)
{
    struct error err;
    struct http *http = http_start(service, listener, &err);
    int status = 0;

    if (http) {
        announce(service);
        status = http_serve(http) ? 0 : 1;
    } else {
        status = complain(err.detail, err.code == ERR_PARAMETER ? 2 : 1);
    }
    pool_drain(service->pool);
    if (http)
        http_stop(http);
    pool_destroy(service->pool);
    return status;
}

static int serve(struct config *config)
{
    size_t warm = config->memory / 4 < WARM_MOST ? config->memory / 4 : WARM_MOST;
    struct service service = {
        .config = config,
        .limits = { config->max_pixels, config->max_output, config->max_macs, config->memory },
        .log = log_init(config->log_format, config->log_level),
    };
    struct error err;
    char url[128], *guide;
    int listener, status;

    block_signals();
    fit_files(config, &service.log);
    if (!conv_self_test(&err))
        return complain(err.detail, 1);
    listener = listen_open(config->listen, url, &err);
    if (listener < 0)
        return complain(err.detail, err.code == ERR_PARAMETER ? 2 : 3);
    service.url = url;
    service.started = (double)time(NULL);
    service.loopback = listen_is_loopback(listener);
    service.guide = guide = guide_write(url);
    service.memory = arena_cache_create(warm);
    service.pool = pool_start((int)config->workers, (int)(config->queue + config->workers));
    if (service.memory)
        arena_cache_limit(service.memory, config->memory);
    if (guide && service.memory && service.pool)
        status = serve_on(&service, listener);
    else
        status = complain("cannot start its threads; lower --workers", 1);
    arena_cache_destroy(service.memory);
    free(guide);
    return status;
}

static int version(void)
{
    printf("convolved %s (%s kernels, OpenBLAS %s)\n", VERSION, conv_isa(), conv_blas_core());
    return 0;
}

/* The first argument that is no option is the subcommand. */
int main(int argc, char **argv)
{
    const char *command = argc > 1 && *argv[1] != '-' ? argv[1] : "serve";
    int skip = argc > 1 && *argv[1] != '-' ? 2 : 1;
    bool takes_arguments = !strcmp(command, "run");
    char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
    struct config config;
    int status = 2;

    if (!arguments)
        return complain("out of memory", 1);
    switch (config_read(&config, argc - skip, argv + skip, takes_arguments ? arguments : NULL)) {
    case CONFIG_HELP:
    case CONFIG_PRINT:
        status = 0;
        break;
    case CONFIG_RUN:
        status = !strcmp(command, "serve")         ? serve(&config)
                 : takes_arguments                 ? command_run(&config, arguments)
                 : !strcmp(command, "healthcheck") ? command_healthcheck(&config)
                 : !strcmp(command, "version")
                     ? version()
                     : complain("the subcommands are serve, run, healthcheck and version; see "
                                "convolved --help",
                                2);
        break;
    default:
        break;
    }
    free(arguments);
    return status;
}
