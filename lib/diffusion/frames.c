/* frames.c -- at which moments on its way from noise an image is shown.
 *
 * The sampler asks the network of x at t[i] when i steps are done.  So the frame at t[i] comes
 * after i steps, and the image after all of them.
 */
#include "lib/diffusion/frames.h"

#include <stdlib.h>

enum { MOST = 4096 };                   /* timesteps in a list */

static void get_room(struct dtn_frames *f, int n)
{
	f->n = n;
	f->after = dtn_alloc((size_t)n, sizeof(*f->after));
}

void dtn_frames_even(struct dtn_frames *f, int n, const struct dtn_sampler *s)
{
	const int64_t S = s->config.steps;

	get_room(f, n);
	for (int k = 0; k < n - 1; k++)
		f->after[k] = (int)((k * S * 2 + n - 1) / (2 * (n - 1)));
	f->after[n - 1] = (int)S;
}

/* How many steps come before that at t? */
static int steps_before(const struct dtn_args *a, const struct dtn_sampler *s, int t)
{
	const int S = s->config.steps;
	const char *typed = dtn_args_typed(a);
	int i = 0;

	while (i < S && s->t[i] > t)
		i++;
	if (i < S && s->t[i] == t)
		return i;
	if (i == 0 || i == S)
		dtn_usage("%s %d: no step is there; the nearest is at %d", typed, t,
			  s->t[i ? S - 1 : 0]);
	dtn_usage("%s %d: no step is there; the nearest are at %d and %d", typed, t, s->t[i - 1],
		  s->t[i]);
}

void dtn_frames_at(struct dtn_frames *f, const struct dtn_args *a, const struct dtn_sampler *s)
{
	int t[MOST], n = dtn_args_list(a, t, MOST, 0, s->schedule->config.steps - 1);

	get_room(f, n + 1);
	for (int k = 0; k < n; k++) {
		if (k > 0 && t[k] >= t[k - 1])
			dtn_usage("%s %d,%d: wants timesteps that fall", dtn_args_typed(a),
				  t[k - 1], t[k]);
		f->after[k] = steps_before(a, s, t[k]);
	}
	f->after[n] = s->config.steps;
	f->at = a->value;
}

void dtn_frames_describe(const struct dtn_frames *f, bool x0, struct dtn_meta *meta)
{
	if (f->n == 1)
		return;
	dtn_meta_set(meta, "sample.frames", "%d", f->n);
	dtn_meta_set(meta, "sample.show", x0 ? "x0" : "xt");
	if (f->at)
		dtn_meta_set(meta, "sample.at", "%s", f->at);
}

void dtn_frames_release(struct dtn_frames *f)
{
	free(f->after);
}
