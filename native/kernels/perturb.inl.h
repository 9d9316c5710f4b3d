// One perturbation: which kind of weights, tile by tile or hit by hit.

inline size_t perturb(uint8_t* data, size_t bytes, const Move& move, const LawTable& table) {
  if (move.sigma == 0.0f) return 0;
  if (move.columns != nullptr) return perturb_columns(data, bytes, move);
  const int32_t* format = move.format;
  const size_t weights = format[kWeights], block_bytes = format[kBytes];
  const size_t blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  Draws draws(move.key, move.tick);
  if (format[kKind] == kLattice && format[kLevels] == kUniform) {
    if (format[kStep] == kStepExternal) return RowMover(move, table, draws)(data, blocks);
    return GroupMover(move, table, draws)(data, blocks);
  }
  const auto each_tile = [&](auto&& work) {
    size_t changed = 0;
    for (size_t block = 0; block < blocks; block += tile_blocks) {
      const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
      draws.begin(move.index + uint64_t(block) * weights, count * weights);
      changed += work(data + block * block_bytes, count);
    }
    return changed;
  };
  const auto each_half = [&](auto format) {
    using Format = decltype(format);
    if (move.rounding == kMatched) return each_tile(HalfMover<Format>(move, table, draws));
    return each_tile([&](uint8_t* at, size_t n) { return move_half_tile<Format>(at, n, move, draws); });
  };
  switch (format[kKind]) {
    case kLattice: return each_tile(TableMover(move, draws));
    case kF32: return each_tile(FloatMover(move, draws));
    case kF16: return each_half(F16());
    default: return each_half(BF16());
  }
}
