"""fluxbatch: buys images in bulk from a paid API, with every cent and every picture accounted for."""
