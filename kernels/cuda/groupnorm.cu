/* groupnorm.cu -- normalise groups of channels, with the time embedding before and SiLU after.
 *
 * Formulas: lib/nn/op/groupnorm.c.  What differs from channel to channel becomes a number a
 * channel; then y = act(x a + f), and backward dx = dz a + x e + f.  A block has all positions of
 * some whole groups of one image, a slice of 16 or 32 channels or a little more:
 *
 *              channels
 *            | slice      | slice      | ...         one block a slice and image
 *      rows  | V V V V    |                          a thread has V channels of every
 *       of   | V V V V    |                          `down`-th position, `across` threads a row
 *      [L,C] | ...        |
 *
 * Where it fits the slice stays in shared memory, and is read from memory once.  Sums of x - k and
 * (x - k)^2 are taken on the way in, k being the channel's value at the first position, so that a
 * mean far from zero costs no digits.  Sums of threads are added in a fixed order.
 *
 * Bytes: forward x and y once; backward x, dy and dx once; x and dy twice where a slice is too
 * large, the second time often from the L2 cache.  Some 20 operations an element. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 256, WARPS = BLOCK / WARP, CHANNELS = 32 };

/* How the channels are cut: by the shape of one image alone. */
struct cut {
	int L, C, width;                /* positions, channels; channels of a group */
	int channels;                   /* of a slice: whole groups */
	int across, down;               /* threads along a row, rows side by side */
	int rows;                       /* of sums that a block adds up at the end */
	size_t vectors, kept_at, bytes; /* in shared memory */
	bool kept;                      /* does the slice stay there? */
};

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

static struct cut cut(const struct dtn_node *y, int V, int sums, int tensors)
{
	const struct cut s = cut_at(y, CHANNELS, V, sums, tensors);
	const struct cut half = cut_at(y, CHANNELS / 2, V, sums, tensors);

	return s.kept || !half.kept ? s : half;
}

/* A thread's channels of a chunk begin at `at`, its positions at `row`, every s.down-th: L where it
 * has none. */
struct start { int at, row; };

template <int V> DEVICE struct start start_at(const struct cut &s, int chunk)
{
	const int at = chunk + (int)threadIdx.x % s.across * V, row = (int)threadIdx.x / s.across;

	return { at, row < s.down && at < s.channels ? row : s.L };
}

/* Add up the threads' sums [n][V] of one chunk of channels: to[k * stride + channel].  Every thread
 * calls it, and a barrier is behind it. */
template <int V, int n>
DEVICE void add_rows(float *to, int stride, float x[n][V], float *table, const struct cut &s)
{
	const int tid = (int)threadIdx.x, width = s.across * V;
	const bool of_warps = s.rows == WARPS && WARP % s.across == 0;
	const int row = of_warps ? tid / WARP : tid / s.across;

	for (int away = s.across; of_warps && away < WARP; away *= 2)
		for (int k = 0; k < n; k++)
			for (int v = 0; v < V; v++)
				x[k][v] += __shfl_xor_sync(ALL_LANES, x[k][v], away);
	if (row < s.rows && (!of_warps || tid % WARP < s.across))
		for (int k = 0; k < n; k++)
			for (int v = 0; v < V; v++)
				table[(k * s.rows + row) * width + tid % s.across * V + v] =
					x[k][v];
	__syncthreads();
	for (int i = tid; i < n * width; i += BLOCK) {
		const int k = i / width, channel = i % width;
		float sum = 0;

		for (int r = 0; r < s.rows; r++)
			sum += table[(k * s.rows + r) * width + channel];
		if (channel < stride)
			to[k * s.channels + channel] = sum;
	}
	__syncthreads();
}

/* --- forward ---------------------------------------------------------------------------------- */

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
	const struct cut s = cut(c->y, wide<T>, 2, 1);
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

/* --- backward --------------------------------------------------------------------------------- */

struct down_call {
	void *dx;                       /* this, dshift and part NULL: not wanted */
	const void *dy, *x;
	const float *w, *b, *shift, *saved;
	float *dshift;                  /* [N,C] */
	float *part;                    /* [N,C,2]: sums over positions of dz and dz h */
	bool silu, add, add_shift;
	struct cut s;
};

/* Of one channel: h = x r + k, z = h w + b. */
template <int V> struct channels { float r[V], k[V], w[V], b[V]; };

template <int V>
DEVICE void look_up(struct channels<V> &of, const struct down_call &c, int n, int channel)
{
	const int C = c.s.C;

	for (int i = 0; i < V; i++) {
		const int at = channel + i;
		const float *stats = c.saved + 2 * (((size_t)n * C + at) / c.s.width);
		const float shift = c.shift ? c.shift[(size_t)n * C + at] : 0;

		of.r[i] = stats[1];
		of.k[i] = (shift - stats[0]) * stats[1];
		of.w[i] = c.w[at];
		of.b[i] = c.b[at];
	}
}

/* y = z s(z):  dz = dy s (1 + z (1 - s)) */
DEVICE float slope(float dy, float z, bool silu)
{
	const float s = silu ? sigmoid(z) : 1;

	return silu ? dy * s * (1 + z * (1 - s)) : dy;
}

/* dx = r (dh - mean(dh) - h mean(dh h)) with dh = dz w and h = x r + k:  e and f of each channel of
 * dx = dz r w + x e + f, in place of the sums of dz and dz h; the sum of dx is dshift. */
DEVICE void down_factors(float *sum, float *sum_h, const float *h, const struct down_call &c, int n,
			 int c0)
{
	const struct cut &s = c.s;
	const float M = (float)s.L * (float)s.width;

	for (int g = (int)threadIdx.x; g < s.channels / s.width; g += BLOCK) {
		const int first = g * s.width;
		struct channels<1> of;
		float dh = 0, dhh = 0;

		for (int i = first; i < first + s.width; i++) {
			const float w = c.w[c0 + i];
			dh += w * sum[i] / M;
			dhh += w * sum_h[i] / M;
		}
		for (int i = first; i < first + s.width; i++) {
			const size_t at = (size_t)n * s.C + c0 + i;

			look_up<1>(of, c, n, c0 + i);
			if (c.part) {
				c.part[2 * at] = sum[i];
				c.part[2 * at + 1] = sum_h[i];
			}
			if (c.dshift) {
				const float d = of.r[0] * (of.w[0] * sum[i] - (float)s.L * dh -
							   h[i] * dhh);
				c.dshift[at] = c.add_shift ? c.dshift[at] + d : d;
			}
			sum[i] = -of.r[0] * of.r[0] * dhh;
			sum_h[i] = -of.r[0] * (dh + of.k[0] * dhh);
		}
	}
	__syncthreads();
}

/* x and dy of a block, and where they stay in shared memory. */
template <class T> struct pair { const T *x, *dy; T *kept_x, *kept_dy; };

/* The sums of dz, dz h and h, for each channel of the slice. */
template <int V, class T>
DEVICE void down_sums(float *sum, float *table, const struct pair<T> &of, const struct down_call &c,
		      int n, int c0)
{
	const struct cut &s = c.s;

	for (int p = 0; p < s.channels; p += s.across * V) {
		const struct start begin = start_at<V>(s, p);
		float sums[3][V] = { }, v[V], d[V];
		struct channels<V> k;

		if (begin.row < s.L)
			look_up<V>(k, c, n, c0 + begin.at);
		for (int l = begin.row; l < s.L; l += s.down) {
			const size_t from = (size_t)l * s.C + begin.at;
			const size_t to = (size_t)l * s.channels + begin.at;

			load<V>(v, of.x + from);
			load<V>(d, of.dy + from);
			if (s.kept) {
				store<V>(of.kept_x + to, v);
				store<V>(of.kept_dy + to, d);
			}
			for (int i = 0; i < V; i++) {
				const float h = v[i] * k.r[i] + k.k[i];
				const float dz = slope(d[i], h * k.w[i] + k.b[i], c.silu);
				sums[0][i] += dz;
				sums[1][i] += dz * h;
				sums[2][i] += h;
			}
		}
		add_rows<V, 3>(sum + p, s.channels - p, sums, table, s);
	}
}

/* dx = dz r w + x e + f */
template <int V, class T>
DEVICE void down_write(T *dx, const float *e, const float *f, const struct pair<T> &of,
		       const struct down_call &c, int n, int c0)
{
	const struct cut &s = c.s;

	for (int p = 0; p < s.channels; p += s.across * V) {
		const struct start begin = start_at<V>(s, p);
		const int at = begin.at;
		float v[V], d[V];
		struct channels<V> k;

		if (begin.row < s.L)
			look_up<V>(k, c, n, c0 + at);
		for (int l = begin.row; l < s.L; l += s.down) {
			const size_t from = (size_t)l * s.channels + at, to = (size_t)l * s.C + at;

			load<V>(v, s.kept ? of.kept_x + from : of.x + to);
			load<V>(d, s.kept ? of.kept_dy + from : of.dy + to);
			for (int i = 0; i < V; i++) {
				const float h = v[i] * k.r[i] + k.k[i];
				const float dz = slope(d[i], h * k.w[i] + k.b[i], c.silu);
				d[i] = dz * k.r[i] * k.w[i] + v[i] * e[at + i] + f[at + i];
			}
			store<V>(dx + to, d, c.add);
		}
	}
}

template <int V, class T> __global__ void __launch_bounds__(BLOCK) down(struct down_call c)
{
	DYNAMIC(float, table);
	const struct cut &s = c.s;
	const int n = (int)blockIdx.y, c0 = (int)blockIdx.x * s.channels;
	const size_t image = (size_t)n * s.L * s.C + c0;
	float *sum = (float *)((char *)table + s.vectors);
	float *sum_h = sum + s.channels, *sum_of_h = sum_h + s.channels;
	T *kept = (T *)((char *)table + s.kept_at);
	const struct pair<T> of = { (const T *)c.x + image, (const T *)c.dy + image, kept,
				    kept + (size_t)s.L * s.channels };

	down_sums<V>(sum, table, of, c, n, c0);
	down_factors(sum, sum_h, sum_of_h, c, n, c0);
	if (c.dx)
		down_write<V>((T *)c.dx + image, sum, sum_h, of, c, n, c0);
}

enum { SIDE = 32 };

/* db and dw [C]: the parts of all images added up; 32 channels a block, 32 images at a time. */
__global__ void add_images(float *db, float *dw, const float *part, int N, int C)
{
	SHARED(float, rows, [2][SIDE][SIDE + 1]);
	const int c = (int)blockIdx.x * SIDE + (int)threadIdx.x, y = (int)threadIdx.y;
	float b = 0, w = 0;

	for (int n = y; c < C && n < N; n += SIDE) {
		b += part[2 * ((size_t)n * C + c)];
		w += part[2 * ((size_t)n * C + c) + 1];
	}
	rows[0][y][threadIdx.x] = b;
	rows[1][y][threadIdx.x] = w;
	__syncthreads();
	if (y > 1 || c >= C)
		return;
	b = 0;
	for (int k = 0; k < SIDE; k++)
		b += rows[y][k][threadIdx.x];
	if (y == 0 && db)
		db[c] = b;
	if (y == 1 && dw)
		dw[c] = b;
}

template <class T> static void backward_of(const struct dtn_call *c)
{
	const struct cut s = cut(c->y, wide<T>, 3, 2);
	const bool parts = c->dx[1] || c->dx[2];
	const struct down_call call = { c->dx[0], c->dout, c->x[0], (const float *)c->x[1],
					(const float *)c->x[2], (const float *)c->x[3],
					(const float *)c->saved, (float *)c->dx[3],
					parts ? (float *)c->scratch : NULL,
					c->y->attr.groupnorm.silu, c->add[0], c->add[3], s };
	const int N = c->y->shape.dim[0];
	const dim3 grid(s.C / s.channels, N);

	if (s.channels % wide<T> == 0)
		LAUNCH((down<wide<T>, T>), grid, BLOCK, s.bytes, call);
	else
		LAUNCH((down<1, T>), grid, BLOCK, s.bytes, call);
	if (parts)
		LAUNCH(add_images, cuda_blocks(s.C, SIDE), dim3(SIDE, SIDE), 0, (float *)c->dx[2],
		       (float *)c->dx[1], (const float *)c->scratch, N, s.C);
}

static size_t scratch(const struct dtn_call *c)
{
	return (size_t)c->y->shape.dim[0] * (size_t)c->y->shape.dim[3] * 2 * sizeof(float);
}

static void forward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, forward_of, c);
}

static void backward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, backward_of, c);
}

const struct dtn_kernel cuda_groupnorm = { forward, backward, NULL, NULL, scratch };
