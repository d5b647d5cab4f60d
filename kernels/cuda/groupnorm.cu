/* groupnorm.cu -- normalise groups of channels, with the time embedding before and SiLU after.
 *
 * Formulas: lib/nn/op/groupnorm.c; slices: groupnorm.h.  What differs from channel to channel
 * becomes a number a channel; then y = act(x a + f).  Sums of x - k and (x - k)^2 are taken on the
 * way in, k being the channel's value at the first position, so that a mean far from zero costs no
 * digits.
 *
 * Bytes: x and y once; x twice where a slice is too large, the second time often from the L2 cache.
 * Some 10 operations an element. */
#include "kernels/cuda/groupnorm.h"

enum { CHANNELS = 32 };

/* Of `most` channels; `sums` numbers a channel are added up, and `tensors` kept. */
static struct cut cut_at(const struct dtn_node *y, int most, int V, int sums, int tensors)
{
	const int *dim = y->shape.dim, G = y->attr.groupnorm.groups;
	struct cut s = { dim[1] * dim[2], dim[3], dim[3] / G };
	int groups = 1;
	size_t kept;

	while (groups < G && (groups * s.width < most || G % groups))
		groups++;
	s.channels = groups * s.width;
	if (s.channels % V)
		V = 1;
	s.across = s.channels / V < BLOCK ? s.channels / V : BLOCK;
	s.down = BLOCK / s.across;
	s.rows = WARP % s.across ? s.down : WARPS;
	s.vectors = (size_t)sums * s.rows * s.across * V * sizeof(float);
	s.kept_at = (s.vectors + (size_t)sums * s.channels * sizeof(float) + 15) / 16 * 16;
	kept = (size_t)s.L * s.channels * dtn_type_size(y->type) * (size_t)tensors;
	s.kept = s.kept_at + kept <= CUDA_MOST_SHARED;
	s.bytes = s.kept_at + (s.kept ? kept : 0);
	return s;
}

struct cut cuda_groupnorm_cut(const struct dtn_node *y, int V, int sums, int tensors)
{
	const struct cut s = cut_at(y, CHANNELS, V, sums, tensors);
	const struct cut half = cut_at(y, CHANNELS / 2, V, sums, tensors);

	if (s.bytes > CUDA_MOST_SHARED)
		dtn_die(DTN_ENV, "%s: groups of %d channels are too large for CUDA", y->name,
			s.width);
	return s.kept || !half.kept ? s : half;
}

struct up_call {
	void *y;
	const void *x;
	const float *w, *b, *shift;     /* shift NULL: none */
	float *saved;                   /* [N,G,2], or NULL */
	float eps;
	bool silu;
	struct cut s;
};

/* m and r of a group, from mean and squared deviations of its channels. */
DEVICE float2 moments(const float *mean, const float *m2, int width, int L, float eps)
{
	double sum = 0, all = 0, m;

	for (int c = 0; c < width; c++)
		sum += (double)mean[c];
	m = sum / width;
	for (int c = 0; c < width; c++) {
		const double d = (double)mean[c] - m;
		all += (double)m2[c] + L * d * d;
	}
	return make_float2((float)m, (float)(1 / sqrt(all / ((double)width * L) + (double)eps)));
}

/* From the sums of x - k and its square, k at x[], to a and f of each channel, in place.  c0: first
 * channel of the slice in image n. */
template <class T>
DEVICE void up_factors(float *sum, float *square, const T *x, const struct up_call &c, int n,
		       int c0)
{
	const struct cut &s = c.s;

	for (int i = (int)threadIdx.x; i < s.channels; i += BLOCK) {
		const float mean = sum[i] / (float)s.L;
		const float shift = c.shift ? c.shift[(size_t)n * s.C + c0 + i] : 0;

		square[i] = fmaxf(square[i] - sum[i] * mean, 0);
		sum[i] = value(x[i]) + mean + shift;
	}
	__syncthreads();
	for (int g = (int)threadIdx.x; g < s.channels / s.width; g += BLOCK) {
		const int first = g * s.width;
		const float2 m = moments(sum + first, square + first, s.width, s.L, c.eps);

		if (c.saved) {
			float *to = c.saved + 2 * ((size_t)n * s.C + c0 + first) / s.width;
			to[0] = m.x;
			to[1] = m.y;
		}
		for (int i = first; i < first + s.width; i++) {
			const float shift = c.shift ? c.shift[(size_t)n * s.C + c0 + i] : 0;

			sum[i] = m.y * c.w[c0 + i];
			square[i] = (shift - m.x) * sum[i] + c.b[c0 + i];
		}
	}
	__syncthreads();
}

template <int V, class T> __global__ void __launch_bounds__(BLOCK) up(struct up_call c)
{
	DYNAMIC(float, table);
	const struct cut &s = c.s;
	const int n = (int)blockIdx.y, c0 = (int)blockIdx.x * s.channels;
	float *sum = (float *)((char *)table + s.vectors), *square = sum + s.channels;
	T *kept = (T *)((char *)table + s.kept_at);
	const T *x = (const T *)c.x + (size_t)n * s.L * s.C + c0;
	T *y = (T *)c.y + (size_t)n * s.L * s.C + c0;

	for (int p = 0; p < s.channels; p += s.across * V) {
		const struct start of = start_at<V>(s, p);
		float sums[2][V] = { }, first[V] = { }, v[V];

		if (of.row < s.L)
			load<V>(first, x + of.at);
		for (int l = of.row; l < s.L; l += s.down) {
			load<V>(v, x + (size_t)l * s.C + of.at);
			if (s.kept)
				store<V>(kept + (size_t)l * s.channels + of.at, v);
			for (int i = 0; i < V; i++) {
				const float d = v[i] - first[i];
				sums[0][i] += d;
				sums[1][i] += d * d;
			}
		}
		add_rows<V, 2>(sum + p, s.channels - p, sums, table, s);
	}
	up_factors(sum, square, x, c, n, c0);
	for (int p = 0; p < s.channels; p += s.across * V) {
		const struct start of = start_at<V>(s, p);
		float a[V], f[V], v[V];

		for (int i = 0; of.row < s.L && i < V; i++) {
			a[i] = sum[of.at + i];
			f[i] = square[of.at + i];
		}
		for (int l = of.row; l < s.L; l += s.down) {
			load<V>(v, s.kept ? kept + (size_t)l * s.channels + of.at :
				x + (size_t)l * s.C + of.at);
			for (int i = 0; i < V; i++) {
				const float z = v[i] * a[i] + f[i];
				v[i] = c.silu ? z * sigmoid(z) : z;
			}
			store<V>(y + (size_t)l * s.C + of.at, v);
		}
	}
}

template <class T> static void forward_of(const struct dtn_call *c)
{
	const struct cut s = cuda_groupnorm_cut(c->y, wide<T>, 2, 1);
	const struct up_call call = { c->out, c->x[0], (const float *)c->x[1],
				      (const float *)c->x[2], (const float *)c->x[3],
				      (float *)c->saved, c->y->attr.groupnorm.eps,
				      c->y->attr.groupnorm.silu, s };
	const dim3 grid(s.C / s.channels, c->y->shape.dim[0]);

	if (s.channels % wide<T> == 0)
		LAUNCH((up<wide<T>, T>), grid, BLOCK, s.bytes, call);
	else
		LAUNCH((up<1, T>), grid, BLOCK, s.bytes, call);
}

static size_t scratch(const struct dtn_call *c)
{
	return (size_t)c->y->shape.dim[0] * (size_t)c->y->shape.dim[3] * 2 * sizeof(float);
}

static void forward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, forward_of, c);
}

const struct dtn_kernel cuda_groupnorm = { forward, cuda_groupnorm_backward, NULL, NULL, scratch };
