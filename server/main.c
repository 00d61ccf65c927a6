/* The program's subcommands, and the order in which a server starts and stops. */
#include "server/commands.h"
#include "server/config.h"
#include "server/http.h"
#include "server/layers.h"
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
    FILES_BESIDES_CONNECTIONS = 128,
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
    config->max_connections = files > 2UL * FILES_BESIDES_CONNECTIONS
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
    const struct door *doors = service->doors;

    printf("convolved %s listens on %s\n", VERSION, doors[PUBLIC].url);
    if (doors[OPERATOR].fd >= 0)
        printf("metrics and health on %s/metrics\n", doors[OPERATOR].url);
    printf("%d workers, %s kernels, OpenBLAS %s, %zu MiB for requests\n\n%s\n",
           pool_workers(service->pool), conv_isa(), conv_blas_core(), service->config->memory >> 20,
           strchr(service->guide, '\n') + 2);
    fflush(stdout);
}

static struct http *start(struct service *service, struct error *err)
{
    if (*service->config->layers && !(service->layers = layers_open(service, err)))
        return NULL;
    return http_start(service, err);
}

/* The pool is drained before the jobs that its tasks look at are gone. */
static int serve_on(struct service *service)
{
    struct error err;
    struct http *http = start(service, &err);
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
    layers_close(service->layers);
    return status;
}

static bool open_doors(struct service *service, struct error *err)
{
    const struct config *config = service->config;
    struct door *doors = service->doors;

    if (!listen_open(&doors[PUBLIC], "--listen", config->listen, err))
        return false;
    if (!*config->metrics_listen ||
        listen_open(&doors[OPERATOR], "--metrics-listen", config->metrics_listen, err))
        return true;
    listen_close(&doors[PUBLIC]);
    return false;
}

static int serve(struct config *config)
{
    size_t warm = config->memory / 4 < WARM_MOST ? config->memory / 4 : WARM_MOST;
    struct service service = {
        .config = config,
        .limits = { config->max_pixels, config->max_output, config->max_macs, config->memory },
        .log = log_init(config->log_format, config->log_level),
        .doors = { { .fd = -1 }, { .fd = -1 } },
    };
    struct error err;
    char *guide;
    int status;

    block_signals();
    fit_files(config, &service.log);
    if (!conv_self_test(&err))
        return complain(err.detail, 1);
    if (!open_doors(&service, &err))
        return complain(err.detail, err.code == ERR_PARAMETER ? 2 : 3);
    service.started = (double)time(NULL);
    service.guide = guide = guide_write(service.doors[PUBLIC].url);
    service.memory = arena_cache_create(warm);
    service.pool = pool_start((int)config->workers, (int)(config->queue + config->workers));
    if (service.memory)
        arena_cache_limit(service.memory, config->memory);
    if (guide && service.memory && service.pool)
        status = serve_on(&service);
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
