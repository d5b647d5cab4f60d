/* pool.h -- workers: threads that share out numbered pieces of work. */
#ifndef DTN_POOL_H
#define DTN_POOL_H

struct dtn_pool;

/* workers - 1 threads beside the caller, who is worker 0; `begin` is called first on each. */
struct dtn_pool *dtn_pool_open(int workers, void (*begin)(void));
void dtn_pool_close(struct dtn_pool *);

/* Call job(arg, worker, i) for i = 0 .. n-1; a piece is started only after all smaller ones were.
 * Returns when all are done. */
void dtn_pool_each(struct dtn_pool *, int n, void (*job)(void *arg, int worker, int i), void *arg);

#endif
