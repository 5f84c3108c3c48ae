// What the scan leaves for every pixel.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/buffer.hpp"
#include "common/values.hpp"
#include "grid/neighborhood.hpp"

namespace topolayer {

// What is known of every pixel: a code each, and where the extrema are. A bit per pixel and a count per word of bits stay in
// the cache where a label per pixel would not.
class PixelMap {
public:
    static constexpr std::int64_t word = 64;

    void renew(std::int64_t pixels) {
        const auto words = static_cast<std::size_t>((pixels + word - 1) / word);
        codes_.renew(words * word);
        extrema_.renew(words);
        std::fill(codes_.end() - word, codes_.end(), std::uint8_t{0});  // behind the last pixel there is nothing
    }

    void release() {
        codes_.release();
        extrema_.release();
    }

    std::size_t bytes() const { return codes_.bytes() + extrema_.bytes(); }

    std::uint8_t* codes() { return codes_.begin(); }
    unsigned direction(Position position) const { return codes_[position] & code::direction; }

    Label label_at(Position extremum) const {
        const Extrema& found = extrema_[extremum / word];
        const std::uint64_t before = found.bits & ((std::uint64_t{1} << extremum % word) - 1);
        return found.before + static_cast<Label>(std::popcount(before));
    }

    // The pixels of a word that carry a mark.
    std::uint64_t marked(std::int64_t index, unsigned mark) const {
        constexpr std::uint64_t each = 0x0101010101010101;
        const std::uint8_t* codes = codes_.begin() + index * word;
        std::uint64_t result = 0;
        for (int i = 0; i < 8; ++i) {
            std::uint64_t eight;
            std::memcpy(&eight, codes + 8 * i, 8);
            if constexpr (std::endian::native == std::endian::big) eight = swap_bytes(eight);
            const std::uint64_t bits = eight / mark & each;  // the product moves the lowest bit of each byte to the top byte
            result |= (bits * 0x0102040810204080 >> 56) << 8 * i;
        }
        return result;
    }

    void set_extrema(std::int64_t index, std::uint64_t bits, Label before) { extrema_[index] = {bits, before}; }

    // There are so many more extrema before the pixels [begin, end).
    void add_before(std::int64_t begin, std::int64_t end, Label more) {
        for (std::int64_t index = begin / word; index * word < end; ++index) extrema_[index].before += more;
    }

private:
    struct Extrema {
        std::uint64_t bits;
        Label before;
    };

    static std::uint64_t swap_bytes(std::uint64_t x) {
        std::uint64_t result = 0;
        for (int i = 0; i < 8; ++i) result = result << 8 | (x >> 8 * i & 0xff);
        return result;
    }

    Buffer<std::uint8_t> codes_;
    Buffer<Extrema> extrema_;
};

// What H0 of a plane leaves for H1, if both are computed: the links of all pixels, and a bit for each that closed a loop.
struct Plane {
    Buffer<std::uint8_t> links;
    Buffer<std::uint64_t> loops;
};

}  // namespace topolayer
