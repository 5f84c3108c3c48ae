// A column of a matrix over Z/2 that is being reduced.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace topolayer {

// A set of rows. A bit of a level says whether a word of the level below is not zero: so the least row is found in a few steps.
class Column {
public:
    using Row = std::uint32_t;
    static constexpr Row none = std::numeric_limits<Row>::max();

    // Makes room for rows below a bound; it is empty then.
    void reset(std::size_t rows) {
        depth_ = 0;
        do {
            rows = (rows + 63) / 64;
            levels_[depth_++].assign(rows, 0);
        } while (rows > 1);
    }

    // Adds a row, or takes it away if it is there.
    void toggle(Row row) {
        for (std::size_t level = 0; level < depth_; ++level) {
            std::uint64_t& word = levels_[level][row / 64];
            const bool was_empty = word == 0;
            word ^= std::uint64_t{1} << row % 64;
            if (!was_empty && word != 0) return;
            row /= 64;
        }
    }

    Row least() const {
        if (levels_[depth_ - 1].empty() || levels_[depth_ - 1][0] == 0) return none;
        std::size_t row = 0;
        for (std::size_t level = depth_; level-- > 0;)
            row = row * 64 + static_cast<std::size_t>(std::countr_zero(levels_[level][row]));
        return static_cast<Row>(row);
    }

private:
    std::array<std::vector<std::uint64_t>, 6> levels_;
    std::size_t depth_ = 0;
};

}  // namespace topolayer
