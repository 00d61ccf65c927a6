/* Requests on their way through the worker pool: how many may be there, who still waits and can
 * be taken back, who is done. */
#pragma once
#include "server/exchange.h"

struct jobs;

/* capacity: jobs that run or wait. An eventfd becomes readable when one is done. */
struct jobs *jobs_create(struct pool *pool, int capacity);
void jobs_destroy(struct jobs *jobs); /* none under way */
int jobs_fd(const struct jobs *jobs);

bool jobs_full(struct jobs *jobs);
bool jobs_submit(struct jobs *jobs, struct exchange *exchange); /* false: full */
/* true: it waited still, will never run, and is the caller's again. */
bool jobs_cancel(struct jobs *jobs, struct exchange *exchange);
void jobs_count(struct jobs *jobs, int *waiting, int *running);
struct exchange *jobs_done(struct jobs *jobs); /* a list by next; clears the eventfd */
