// How fast texts become token ids: `tokenizer_bench FOLDER FILE` reads texts, one a line, and then commands. Answers
// each line of standard input with one line of JSON: {"seconds", "texts", "tokens"} of one pass over all of them, on
// one thread. tests/bench/bench_tokenizer.py asks it and the `tokenizers` library in turns.
#include <CLI/CLI.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "trainer/tokenizer/tokenizer.hpp"

int main(int argc, char** argv) {
  std::string folder, file;
  std::size_t max_length = 128;
  CLI::App app("Times the tokenizer of a model folder.", "tokenizer_bench");
  app.add_option("FOLDER", folder, "Folder with the tokenizer's files")->required()->check(CLI::ExistingDirectory);
  app.add_option("FILE", file, "Texts, one a line")->required()->check(CLI::ExistingFile);
  app.add_option("--max-length", max_length, "Tokens kept of a text");
  CLI11_PARSE(app, argc, argv);
  const auto tokenizer = fathom::trainer::Tokenizer::load(folder);
  if (!tokenizer) {
    std::cerr << "tokenizer_bench: " << tokenizer.error().message << "\n";
    return 1;
  }
  std::vector<std::string> texts;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) texts.push_back(line);
  std::cout << nlohmann::json{{"ready", true}}.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::uint64_t tokens = 0;
    const auto start = std::chrono::steady_clock::now();
    for (const auto& text : texts) tokens += (*tokenizer)->encode(text, std::nullopt, max_length).ids.size();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::cout << nlohmann::json{{"seconds", seconds}, {"texts", texts.size()}, {"tokens", tokens}}.dump() << std::endl;
  }
  return 0;
}
