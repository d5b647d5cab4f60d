/* unet.h -- the denoising network of DDPM [Ho et al. 2020, appendix B]. */
#ifndef DTN_UNET_H
#define DTN_UNET_H

#include "lib/nn/graph.h"

enum { DTN_MAX_LEVELS = 8, DTN_MAX_ATTN = 8, DTN_MAX_BLOCKS = 8, DTN_MAX_CLASSES = 65535 };

enum dtn_attention_kind { DTN_SOFTMAX_ATTENTION, DTN_LINEAR_ATTENTION };
#define DTN_ATTENTIONS "softmax|linear"

struct dtn_unet {
	int height, width, colours;     /* of the images */
	int channels;                   /* of the first level */
	int levels, mult[DTN_MAX_LEVELS];
	int blocks;                     /* residual blocks a level going down; one more going up */
	int attns, attn[DTN_MAX_ATTN];  /* resolutions with attention: the longer padded side */
	int heads;                      /* 1: one head of full width */
	int groups;                     /* of the group norms */
	float dropout;
	int classes;                    /* that images may have; 0: the network knows of none */
	/* at those resolutions; the middle has softmax always */
	enum dtn_attention_kind attention;
};

/* NULL, or what is wrong with it: ranges, groups that do not divide a width (naming those that do),
 * ... */
const char *dtn_unet_check(const struct dtn_unet *);

/* Height or width inside the network: the next multiple of 2^(levels-1). */
int dtn_unet_padded(const struct dtn_unet *, int side);

/* The longer side of the images at a level, 0 .. levels-1. */
int dtn_unet_side(const struct dtn_unet *, int level);

/* The same network for images of another size: attention stays at the levels where it is. */
void dtn_unet_resize(struct dtn_unet *, int height, int width);

/* x [N,H,W,C] f32 in about [-1,1]; t [N] i32; returns the prediction [N,H,W,C] f32.  label [N]
 * i32, of a network with classes only (else -1): the class of each image, or the number of classes
 * for an image of any. */
dtn_id dtn_unet(struct dtn_graph *, const struct dtn_unet *, dtn_id x, dtn_id t, dtn_id label);

/* The input for `label` [N], or -1 where the network has no classes. */
dtn_id dtn_unet_label(struct dtn_graph *, const struct dtn_unet *, int N);

/* A new graph in f32 of nothing but the network, for one image: to know the parameters by.
 * dtn_graph_release() it. */
void dtn_unet_graph(struct dtn_graph *, const struct dtn_unet *);

/* How many images a slice has: by the network alone, so that results never depend on the
 * machine. */
int dtn_unet_slice(const struct dtn_unet *);

/* Trained weights, counted once. */
uint64_t dtn_unet_parameters(const struct dtn_unet *);

#endif
