/* linear_attention.cu -- attention by way of a [d,d] matrix a head; letters as in the rule.
 *
 * Everything is products of small matrices; a block of 16x16 threads makes a tile of one result,
 * reading both factors through shared memory, a tile of each at a time:
 *
 *             [n,16]              forward   sums   M = E' V, z           over L
 *          +---------+                      rows   O = F M / (F z)       over d
 *          |    b    |            backward  sums   M, z again
 *          +---------+                      turn   G = dO M', D, s; dQ   over d, row tiles
 *   [16,n] |  a | acc |                     sums   dM = F' (dO / D), dz
 *          +---------+                      back   dE = V dM' + dz, dV = E dM; dK
 *
 * blockIdx.x is image and head, so no image knows of the others.  All sums are in f32, in one
 * order.
 *
 * Operations: 4 L C d forward, 14 L C d backward; bytes: q, k, v and y once for each of the d / 16
 * tiles that read them. */
#include "kernels/cuda/cuda.h"

#include <math.h>

enum { TILE = 16 };

struct shape { int L, C, heads, d; };

/* Per image and head: M, dM [d,d], z, dz [d], and for each row 1/D and s. */
struct room { float *M, *dM, *z, *dz, *inverse, *s; };

struct place { size_t first, matrix, vector, row; };

DEVICE struct place place(const struct shape &s)
{
	const size_t part = blockIdx.x, n = part / s.heads, head = part % s.heads;

	return { n * s.L * s.C + head * s.d, part * s.d * s.d, part * s.d, part * s.L };
}

/* f(x) and f'(x) */
DEVICE float feature(float x)
{
	return x > 0 ? x + 1 : expf(x < -30 ? -30 : x);
}

DEVICE float slope(float x)
{
	return x > 0 ? 1 : x < -30 ? 0 : expf(x);
}

/* Element [l,i] of a head's part of q, k, v or y; 0 outside. */
template <class T> DEVICE float at(const T *x, const struct shape &s, size_t first, int l, int i)
{
	return l < s.L && i < s.d ? value(x[first + (size_t)l * s.C + i]) : 0;
}

/* sum over k < n of a(row, k) b(k, column) for this thread's place in the block's tile.  a and b
 * give 0 outside. */
template <class A, class B> DEVICE float product(int n, A a, B b, int row, int column,
						 float (*left)[TILE + 1], float (*right)[TILE + 1])
{
	const int x = (int)threadIdx.x, y = (int)threadIdx.y;
	float sum = 0;

	for (int k = 0; k < n; k += TILE) {
		left[y][x] = a(row, k + x);
		right[y][x] = b(k + y, column);
		__syncthreads();
		for (int j = 0; j < TILE; j++)
			sum = fmaf(left[y][j], right[j][x], sum);
		__syncthreads();
	}
	return sum;
}

/* matrix [d,d] = A' (B w), vector [d] = A' u, where A is f(of a), w and u are 1, or for the way
 * back w = 1/D and u = - s/D. */
template <class T>
__global__ void sums(struct shape s, const T *a, const T *b, float *matrix, float *vector,
		     const float *inverse, const float *share)
{
	SHARED(float, left, [TILE][TILE + 1]);
	SHARED(float, right, [TILE][TILE + 1]);
	const struct place p = place(s);
	const int i = (int)blockIdx.z * TILE + (int)threadIdx.y;
	const int j = (int)blockIdx.y * TILE + (int)threadIdx.x;
	auto features = [&](int row, int l) {
		return l < s.L && row < s.d ? feature(at(a, s, p.first, l, row)) : 0;
	};
	const float sum = product(s.L, features, [&](int l, int column) {
		return at(b, s, p.first, l, column) *
			(inverse && l < s.L ? inverse[p.row + l] : 1);
	}, i, j, left, right);
	const float column = product(s.L, features, [&](int l, int) {
		return l >= s.L ? 0 : inverse ? -share[p.row + l] * inverse[p.row + l] : 1;
	}, i, j, left, right);

	if (i < s.d && j < s.d)
		matrix[p.matrix + (size_t)i * s.d + j] = sum;
	if (i < s.d && j == 0)
		vector[p.vector + i] = column;
}

template <class T>
__global__ void rows(struct shape s, const T *q, const float *M, const float *z, T *out)
{
	SHARED(float, left, [TILE][TILE + 1]);
	SHARED(float, right, [TILE][TILE + 1]);
	const struct place p = place(s);
	const int l = (int)blockIdx.z * TILE + (int)threadIdx.y;
	const int j = (int)blockIdx.y * TILE + (int)threadIdx.x;
	auto features = [&](int row, int i) {
		return row < s.L && i < s.d ? feature(at(q, s, p.first, row, i)) : 0;
	};
	const float sum = product(s.d, features, [&](int i, int column) {
		return i < s.d && column < s.d ? M[p.matrix + (size_t)i * s.d + column] : 0;
	}, l, j, left, right);
	const float D = product(s.d, features, [&](int i, int) {
		return i < s.d ? z[p.vector + i] : 0;
	}, l, j, left, right);

	if (l < s.L && j < s.d)
		set(out[p.first + (size_t)l * s.C + j], sum / D);
}

template <class T> DEVICE void give(T *dx, size_t i, float x, bool add)
{
	store<1>(dx + i, &x, add);
}

/* A block has 16 rows and goes through G twice: for s, then for dQ. */
template <class T>
__global__ void turn(struct shape s, const T *q, const T *dout, struct room r, T *dq, bool add)
{
	SHARED(float, left, [TILE][TILE + 1]);
	SHARED(float, right, [TILE][TILE + 1]);
	const struct place p = place(s);
	const int l = (int)blockIdx.z * TILE + (int)threadIdx.y, x = (int)threadIdx.x;
	auto features = [&](int row, int i) {
		return row < s.L && i < s.d ? feature(at(q, s, p.first, row, i)) : 0;
	};
	auto G = [&](int i) {
		return product(s.d, [&](int row, int j) { return at(dout, s, p.first, row, j); },
			       [&](int j, int column) {
			return j < s.d && column < s.d ?
				r.M[p.matrix + (size_t)column * s.d + j] : 0;
		}, l, i, left, right);
	};
	const float D = product(s.d, features, [&](int i, int) {
		return i < s.d ? r.z[p.vector + i] : 0;
	}, l, x, left, right);
	const float inverse = l < s.L ? 1 / D : 0;
	float share = 0;

	for (int i = 0; i < s.d; i += TILE)
		share += features(l, i + x) * G(i + x);
	for (int away = TILE / 2; away > 0; away /= 2)          /* over the 16 lanes of a row */
		share += __shfl_xor_sync(ALL_LANES, share, away);
	share *= inverse;
	if (l < s.L && x == 0) {
		r.inverse[p.row + l] = inverse;
		r.s[p.row + l] = share;
	}
	for (int i = x; dq && i - x < s.d; i += TILE) {
		const float g = G(i);

		if (l < s.L && i < s.d)
			give(dq, p.first + (size_t)l * s.C + i,
			     (g - share * r.z[p.vector + i]) * inverse *
				     slope(at(q, s, p.first, l, i)), add);
	}
}

template <class T>
__global__ void back(struct shape s, const T *k, const T *v, struct room r, T *dk, bool add_k,
		     T *dv, bool add_v)
{
	SHARED(float, left, [TILE][TILE + 1]);
	SHARED(float, right, [TILE][TILE + 1]);
	const struct place p = place(s);
	const int l = (int)blockIdx.z * TILE + (int)threadIdx.y;
	const int i = (int)blockIdx.y * TILE + (int)threadIdx.x;
	const size_t to = p.first + (size_t)l * s.C + i;
	const bool inside = l < s.L && i < s.d;
	const float dE = product(s.d, [&](int row, int j) { return at(v, s, p.first, row, j); },
				 [&](int j, int column) {
		return j < s.d && column < s.d ? r.dM[p.matrix + (size_t)column * s.d + j] : 0;
	}, l, i, left, right);
	const float dV = product(s.d, [&](int row, int j) {
		return row < s.L && j < s.d ? feature(at(k, s, p.first, row, j)) : 0;
	}, [&](int j, int column) {
		return j < s.d && column < s.d ? r.dM[p.matrix + (size_t)j * s.d + column] : 0;
	}, l, i, left, right);

	if (inside && dk)
		give(dk, to, (dE + r.dz[p.vector + i]) * slope(at(k, s, p.first, l, i)), add_k);
	if (inside && dv)
		give(dv, to, dV, add_v);
}

/* --- launches --------------------------------------------------------------------------------- */

static struct shape sizes(const struct dtn_node *y)
{
	const int *dim = y->shape.dim, heads = y->attr.attention.heads;

	return { dim[1] * dim[2], dim[3], heads, dim[3] / heads };
}

static size_t scratch(const struct dtn_call *c)
{
	const struct shape s = sizes(c->y);
	const size_t parts = (size_t)c->y->shape.dim[0] * s.heads;

	return parts * (2 * (size_t)s.d * s.d + 2 * (size_t)s.d + 2 * (size_t)s.L) * sizeof(float);
}

static struct room room(const struct dtn_call *c, const struct shape &s)
{
	const size_t parts = (size_t)c->y->shape.dim[0] * s.heads, square = (size_t)s.d * s.d;
	float *M = (float *)c->scratch, *z = M + 2 * parts * square, *rows = z + 2 * parts * s.d;

	return { M, M + parts * square, z, z + parts * s.d, rows, rows + parts * s.L };
}

template <class T> static void forward_of(const struct dtn_call *c)
{
	const struct shape s = sizes(c->y);
	const struct room r = room(c, s);
	const unsigned parts = (unsigned)(c->y->shape.dim[0] * s.heads);
	const unsigned wide = cuda_blocks(s.d, TILE), high = cuda_blocks(s.L, TILE);
	const dim3 block(TILE, TILE);

	LAUNCH(sums<T>, dim3(parts, wide, wide), block, 0, s, (const T *)c->x[1],
	       (const T *)c->x[2], r.M, r.z, (const float *)NULL, (const float *)NULL);
	LAUNCH(rows<T>, dim3(parts, wide, high), block, 0, s, (const T *)c->x[0], r.M, r.z,
	       (T *)c->out);
}

template <class T> static void backward_of(const struct dtn_call *c)
{
	const struct shape s = sizes(c->y);
	const struct room r = room(c, s);
	const unsigned parts = (unsigned)(c->y->shape.dim[0] * s.heads);
	const unsigned wide = cuda_blocks(s.d, TILE), high = cuda_blocks(s.L, TILE);
	const dim3 block(TILE, TILE);
	const T *q = (const T *)c->x[0], *k = (const T *)c->x[1], *v = (const T *)c->x[2];
	const T *dout = (const T *)c->dout;

	LAUNCH(sums<T>, dim3(parts, wide, wide), block, 0, s, k, v, r.M, r.z, (const float *)NULL,
	       (const float *)NULL);
	LAUNCH(turn<T>, dim3(parts, 1, high), block, 0, s, q, dout, r, (T *)c->dx[0], c->add[0]);
	LAUNCH(sums<T>, dim3(parts, wide, wide), block, 0, s, q, dout, r.dM, r.dz,
	       (const float *)r.inverse, (const float *)r.s);
	LAUNCH(back<T>, dim3(parts, wide, high), block, 0, s, k, v, r, (T *)c->dx[1], c->add[1],
	       (T *)c->dx[2], c->add[2]);
}

static void forward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, forward_of, c);
}

static void backward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, backward_of, c);
}

const struct dtn_kernel cuda_linear_attention = { forward, backward, NULL, NULL, scratch };
