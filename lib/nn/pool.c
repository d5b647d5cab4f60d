/* pool.c -- workers: threads that share out numbered pieces of work. */
#include "lib/nn/pool.h"

#include "lib/base.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct dtn_pool {
	int workers;
	void (*begin)(void);
	pthread_t *thread;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	unsigned long round;            /* a new number for every call of dtn_pool_each */
	bool quit;
	int n, next, busy;
	void (*job)(void *, int, int);
	void *arg;
};

struct start { struct dtn_pool *pool; int worker; };

/* Take pieces until there are none; the lock is held on entry and on return. */
static void take(struct dtn_pool *p, int worker)
{
	while (p->next < p->n) {
		int i = p->next++;

		pthread_mutex_unlock(&p->lock);
		p->job(p->arg, worker, i);
		pthread_mutex_lock(&p->lock);
	}
}

static void *live(void *arg)
{
	struct start start = *(struct start *)arg;
	struct dtn_pool *p = start.pool;
	unsigned long seen = 0;

	free(arg);
	p->begin();
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->round == seen && !p->quit)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->quit)
			break;
		seen = p->round;
		take(p, start.worker);
		if (--p->busy == 0)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct dtn_pool *dtn_pool_open(int workers, void (*begin)(void))
{
	struct dtn_pool *p = dtn_alloc(1, sizeof(*p));
	sigset_t all, old;

	p->workers = workers;
	p->begin = begin;
	p->thread = dtn_alloc((size_t)workers, sizeof(*p->thread));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	begin();
	/* signals go to the caller alone */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (int i = 1; i < workers; i++) {
		struct start *start = dtn_alloc(1, sizeof(*start));

		*start = (struct start){ p, i };
		errno = pthread_create(&p->thread[i], NULL, live, start);
		if (errno != 0)
			dtn_die(DTN_ENV, "cannot start thread %d of %d:", i + 1, workers);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return p;
}

void dtn_pool_close(struct dtn_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (int i = 1; i < p->workers; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->thread);
	free(p);
}

void dtn_pool_each(struct dtn_pool *p, int n, void (*job)(void *, int, int), void *arg)
{
	pthread_mutex_lock(&p->lock);
	p->n = n;
	p->next = 0;
	p->job = job;
	p->arg = arg;
	p->busy = p->workers - 1;
	p->round++;
	pthread_cond_broadcast(&p->work);
	take(p, 0);
	while (p->busy > 0)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
