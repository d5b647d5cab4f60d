/* groupnorm_back.cu -- the gradients of a normalisation of groups.
 *
 * Formulas: lib/nn/op/groupnorm.c; slices: groupnorm.h.  dx = dz a + x e + f with numbers a, e and
 * f of each channel, which follow from sums of dz and dz h over its group; so x and dy are gone
 * through twice.
 *
 * Bytes: x, dy and dx once; x and dy twice where a slice is too large, the second time often from
 * the L2 cache.  Some 20 operations an element. */
#include "kernels/cuda/groupnorm.h"

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
	const struct cut s = cuda_groupnorm_cut(c->y, wide<T>, 3, 2);
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

void cuda_groupnorm_backward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, backward_of, c);
}
