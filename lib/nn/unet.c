/* unet.c -- the denoising network of DDPM [Ho et al. 2020, appendix B], declared once.
 *
 *      conv_in -+- down 0 -+- down 1 - ... - middle - ... - up 1 -+- up 0 -+- conv_out
 *               |          +-------------- skips ----------------+         |
 *               +----------------------------------------------------------+
 *
 * Names, order and conventions are those of diffusers' UNet2DModel, so weights can be exchanged:
 * skips are the result of conv_in, of every block going down and of every downsampler; each block
 * going up takes one, concatenated as (hidden, skip).
 */
#include "lib/nn/unet.h"

#include "lib/nn/layer.h"

#include <stdio.h>
#include <string.h>

int dtn_unet_padded(const struct dtn_unet *u, int side)
{
	int multiple = 1 << (u->levels - 1);

	return (side + multiple - 1) / multiple * multiple;
}

int dtn_unet_side(const struct dtn_unet *u, int level)
{
	int h = dtn_unet_padded(u, u->height), w = dtn_unet_padded(u, u->width);

	return (h > w ? h : w) >> level;
}

static bool attends(const struct dtn_unet *u, int level)
{
	for (int i = 0; i < u->attns; i++)
		if (u->attn[i] == dtn_unet_side(u, level))
			return true;
	return false;
}

void dtn_unet_resize(struct dtn_unet *u, int height, int width)
{
	bool at[DTN_MAX_LEVELS];

	for (int i = 0; i < u->levels; i++)
		at[i] = attends(u, i);
	u->height = height;
	u->width = width;
	u->attns = 0;
	for (int i = 0; i < u->levels; i++)
		if (at[i])
			u->attn[u->attns++] = dtn_unet_side(u, i);
}

static int channels(const struct dtn_graph *g, dtn_id x)
{
	return g->node[x].shape.dim[3];
}

/* x [N,H,W,C], emb [N,4*channels] -> [N,H,W,K] */
static dtn_id resnet(struct dtn_graph *g, const struct dtn_unet *u, dtn_id x, dtn_id emb, int K)
{
	dtn_id h, shift, skip = x;

	h = dtn_groupnorm(g, "norm1", x, -1, u->groups, true);
	h = dtn_conv(g, "conv1", h, -1, K, 3, 1);
	shift = dtn_linear(g, "time_emb_proj", emb, -1, K);
	h = dtn_groupnorm(g, "norm2", h, shift, u->groups, true);
	h = dtn_dropout(g, h, u->dropout);
	if (channels(g, x) != K)
		skip = dtn_conv(g, "conv_shortcut", x, -1, K, 1, 1);
	return dtn_conv(g, "conv2", h, skip, K, 3, 1);
}

static dtn_id attention(struct dtn_graph *g, const struct dtn_unet *u, enum dtn_attention_kind kind,
			dtn_id x)
{
	int C = channels(g, x);
	dtn_id n = dtn_groupnorm(g, "group_norm", x, -1, u->groups, false);
	dtn_id q = dtn_linear(g, "to_q", n, -1, C);
	dtn_id k = dtn_linear(g, "to_k", n, -1, C);
	dtn_id v = dtn_linear(g, "to_v", n, -1, C);
	dtn_id (*mix)(struct dtn_graph *, dtn_id, dtn_id, dtn_id, int) =
		kind == DTN_LINEAR_ATTENTION ? dtn_linear_attention : dtn_attention;

	return dtn_linear(g, "to_out.0", mix(g, q, k, v, u->heads), x, C);
}

/* One block of a level: a residual block, and attention where the resolution asks for it. */
static dtn_id stage(struct dtn_graph *g, const struct dtn_unet *u, const char *side, int block,
		    int j, int level, dtn_id x, dtn_id emb)
{
	dtn_scope(g, "%s_blocks.%d.resnets.%d", side, block, j);
	x = resnet(g, u, x, emb, u->channels * u->mult[level]);
	if (attends(u, level)) {
		dtn_scope(g, "%s_blocks.%d.attentions.%d", side, block, j);
		x = attention(g, u, u->attention, x);
	}
	return x;
}

/* What all residual blocks are told: the timestep and, in a network with classes, the class.  The
 * last row of the table stands for no class [Ho & Salimans 2022, classifier-free guidance]. */
static dtn_id embedding(struct dtn_graph *g, const struct dtn_unet *u, dtn_id t, dtn_id label)
{
	dtn_id e;

	dtn_scope(g, "time_embedding");
	e = dtn_timestep(g, t, u->channels);
	e = dtn_linear(g, "linear_1", e, -1, 4 * u->channels);
	e = dtn_silu(g, e);
	e = dtn_linear(g, "linear_2", e, -1, 4 * u->channels);
	if (u->classes > 0) {
		dtn_scope(g, "class_embedding");
		e = dtn_embedding(g, e, label, u->classes + 1);
	}
	return dtn_silu(g, e);          /* every residual block begins with it */
}

static dtn_id middle(struct dtn_graph *g, const struct dtn_unet *u, dtn_id h, dtn_id emb)
{
	int C = channels(g, h);

	dtn_scope(g, "mid_block.resnets.0");
	h = resnet(g, u, h, emb, C);
	dtn_scope(g, "mid_block.attentions.0");
	h = attention(g, u, DTN_SOFTMAX_ATTENTION, h);
	dtn_scope(g, "mid_block.resnets.1");
	return resnet(g, u, h, emb, C);
}

dtn_id dtn_unet_label(struct dtn_graph *g, const struct dtn_unet *u, int N)
{
	if (u->classes == 0)
		return -1;
	return dtn_input(g, "label", DTN_I32, (struct dtn_shape){ 1, { N } });
}

dtn_id dtn_unet(struct dtn_graph *g, const struct dtn_unet *u, dtn_id x, dtn_id t, dtn_id label)
{
	dtn_id skip[DTN_MAX_LEVELS * (DTN_MAX_BLOCKS + 1)], h, emb;
	int top = 0;

	emb = embedding(g, u, t, label);
	dtn_scope(g, "%s", "");
	h = dtn_pad(g, x, dtn_unet_padded(u, u->height), dtn_unet_padded(u, u->width));
	skip[top++] = h = dtn_conv(g, "conv_in", h, -1, u->channels, 3, 1);

	for (int i = 0; i < u->levels; i++) {
		for (int j = 0; j < u->blocks; j++)
			skip[top++] = h = stage(g, u, "down", i, j, i, h, emb);
		if (i < u->levels - 1) {
			dtn_scope(g, "down_blocks.%d.downsamplers.0", i);
			skip[top++] = h = dtn_conv(g, "conv", h, -1, channels(g, h), 3, 2);
		}
	}
	h = middle(g, u, h, emb);
	for (int i = u->levels - 1; i >= 0; i--) {
		int block = u->levels - 1 - i;

		for (int j = 0; j <= u->blocks; j++) {
			dtn_scope(g, "up_blocks.%d.resnets.%d", block, j);
			h = dtn_concat(g, h, skip[--top]);
			h = stage(g, u, "up", block, j, i, h, emb);
		}
		if (i > 0) {
			dtn_scope(g, "up_blocks.%d.upsamplers.0", block);
			h = dtn_upsample(g, h);
			h = dtn_conv(g, "conv", h, -1, channels(g, h), 3, 1);
		}
	}
	dtn_scope(g, "%s", "");
	h = dtn_groupnorm(g, "conv_norm_out", h, -1, u->groups, true);
	h = dtn_conv(g, "conv_out", h, -1, u->colours, 3, 1);
	return dtn_crop(g, h, u->height, u->width);
}

/* Groups must divide the width of every level, so that of the first; which numbers up to 64 would
 * do? */
static const char *bad_groups(const struct dtn_unet *u)
{
	static char text[256];
	int n = snprintf(text, sizeof(text),
			 "%d groups do not divide %d channels; these do:", u->groups, u->channels);

	for (int g = 1; g <= 64 && n < (int)sizeof(text) - 8; g++)
		if (u->channels % g == 0)
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %d", g);
	return text;
}

static const char *bad_heads(const struct dtn_unet *u, int level)
{
	static char text[128];

	snprintf(text, sizeof(text), "%d heads (--heads) do not divide the %d channels of level %d",
		 u->heads, u->channels * u->mult[level], level + 1);
	return text;
}

static bool within(int value, int least, int most)
{
	return value >= least && value <= most;
}

const char *dtn_unet_check(const struct dtn_unet *u)
{
	int widest = 0;

	if (!within(u->height, 1, 4096) || !within(u->width, 1, 4096))
		return "images must be 1x1 to 4096x4096";
	if (!within(u->colours, 1, 64))
		return "images must have 1 to 64 channels";
	if (!within(u->channels, 2, 4096) || u->channels % 2)
		return "the channels must be an even number from 2 to 4096";
	if (!within(u->levels, 1, DTN_MAX_LEVELS))
		return "there must be 1 to 8 multipliers";
	for (int i = 0; i < u->levels; i++) {
		if (!within(u->mult[i], 1, 64))
			return "multipliers must be 1 to 64";
		widest = u->mult[i] > widest ? u->mult[i] : widest;
	}
	if (widest * u->channels > 16384)
		return "no level may be wider than 16384 channels";
	if (!within(u->blocks, 1, DTN_MAX_BLOCKS))
		return "there must be 1 to 8 blocks a level";
	if (!within(u->attns, 0, DTN_MAX_ATTN))
		return "attention is possible at up to 8 resolutions";
	if (!within(u->groups, 1, 4096) || u->channels % u->groups)
		return bad_groups(u);
	if (!(u->dropout >= 0 && u->dropout < 1))
		return "the dropout must be at least 0 and less than 1";
	if (!within(u->heads, 1, 1024))
		return "there may be 1 to 1024 heads";
	for (int i = 0; i < u->levels; i++)
		if (u->channels * u->mult[i] % u->heads)
			return bad_heads(u, i);
	if (!within(u->classes, 0, DTN_MAX_CLASSES))
		return "there may be up to 65535 classes";
	return NULL;
}

int dtn_unet_slice(const struct dtn_unet *u)
{
	int h = dtn_unet_padded(u, u->height), w = dtn_unet_padded(u, u->width);
	long floats = (long)h * w * u->channels;

	/* Small enough for the widest activations to stay in a core's share of the cache, large
	 * enough that the matrix products of the narrow levels have rows to work on. */
	return floats <= 64 * 1024 ? 8 : floats <= 1024 * 1024 ? 4 : 1;
}

void dtn_unet_graph(struct dtn_graph *g, const struct dtn_unet *u)
{
	dtn_id x, t;

	dtn_graph_init(g, DTN_F32);
	x = dtn_input(g, "x", DTN_F32,
		      (struct dtn_shape){ 4, { 1, u->height, u->width, u->colours } });
	t = dtn_input(g, "t", DTN_I32, (struct dtn_shape){ 1, { 1 } });
	dtn_unet(g, u, x, t, dtn_unet_label(g, u, 1));
}

uint64_t dtn_unet_parameters(const struct dtn_unet *u)
{
	struct dtn_graph g;
	uint64_t sum = 0;

	dtn_unet_graph(&g, u);
	for (dtn_id i = 0; i < g.n; i++)
		if (g.node[i].op == DTN_OP_PARAM)
			sum += dtn_shape_count(g.node[i].shape);
	dtn_graph_release(&g);
	return sum;
}
