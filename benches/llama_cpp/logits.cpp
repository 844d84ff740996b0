// Writes the logits that llama-perplexity --kl-divergence computes, as f32, for `examples/block_of_logits.rs`:
//
//   logits MODEL-FLAGS --kl-divergence-base FILE -o OUT     (the flags are llama-perplexity's)
//
// Build it against llama.cpp's libraries; benches/divergence.sh does so where LLAMA_CPP names the sources.
#include "arg.h"
#include "common.h"
#include "llama.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

int main(int argc, char ** argv) {
    const char * out_name = nullptr;
    std::vector<char *> rest;
    for (int i = 0; i < argc; ++i) {
        if (std::strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
            out_name = argv[++i];
        } else {
            rest.push_back(argv[i]);
        }
    }
    common_params params;
    params.n_ctx = 512;
    params.escape = false;
    common_init();
    if (!out_name || !common_params_parse(int(rest.size()), rest.data(), params, LLAMA_EXAMPLE_PERPLEXITY)) {
        return 1;
    }
    // The tokens, and how they are cut, are the file's.
    std::ifstream file(params.logits_file, std::ios::binary);
    int32_t head[5];
    file.read(reinterpret_cast<char *>(head), sizeof head);
    const int context = head[2], vocabulary = head[3], chunks = head[4], first = context / 2;
    std::vector<int32_t> tokens(size_t(context) * chunks);
    file.read(reinterpret_cast<char *>(tokens.data()), std::streamsize(tokens.size() * sizeof tokens[0]));
    if (!file) {
        return 1;
    }
    // As many sequences side by side as there, so that its products have the same shapes.
    const int together = std::max(1, params.n_batch / context);
    params.n_parallel = together;
    params.n_ctx = together * context;
    params.n_batch = std::min(params.n_batch, params.n_ctx);
    llama_backend_init();
    auto init = common_init_from_params(params);
    auto * model = init->model();
    auto * ctx = init->context();
    if (!model || !ctx) {
        return 1;
    }
    const auto * vocab = llama_model_get_vocab(model);
    std::ofstream out(out_name, std::ios::binary);
    for (int chunk = 0; chunk < chunks; chunk += together) {
        const int count = std::min(together, chunks - chunk);
        llama_memory_clear(llama_get_memory(ctx), true);
        llama_batch batch = llama_batch_init(count * context, 0, 1);
        for (int i = 0; i < count * context; ++i) {
            const int place = i % context;
            const bool opens = place == 0 && llama_vocab_get_add_bos(vocab);
            batch.token[i] = opens ? llama_vocab_bos(vocab) : tokens[size_t(chunk) * context + i];
            batch.pos[i] = place;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = i / context;
            batch.logits[i] = place >= first;
        }
        batch.n_tokens = count * context;
        if (llama_decode(ctx, batch)) {
            return 1;
        }
        for (int i = 0; i < count; ++i) {
            const float * rows = llama_get_logits_ith(ctx, i * context + first);
            out.write(reinterpret_cast<const char *>(rows), std::streamsize(sizeof(float) * size_t(vocabulary) * (context - 1 - first)));
        }
        llama_batch_free(batch);
    }
    return out ? 0 : 1;
}
