// The one pass over all pixels: finds those that matter, and from every other one a direction towards an earlier neighbor.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "common/buffer.hpp"
#include "grid/grid.hpp"
#include "common/interrupt.hpp"
#include "common/values.hpp"

namespace topolayer {

template <class Value>
struct Extremum {
    Key<Value> key;
    Position position;
};

struct Saddle {
    Position position;
    Link representatives;
};

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

// A band of rows. It begins at a pixel whose position is a multiple of PixelMap::word, and so does the next one.
template <class Value>
class Band {
public:
    // In C order.
    Buffer<Extremum<Value>> extrema;
    Buffer<Saddle> saddles;
    bool all_finite = true;

    // In a superlevel filtration high values are early. With `reversed`, the last in this order is the first, and the
    // outside of the grid comes before all. What it can, it takes from `plane` if reversed; else it leaves the links there.
    void scan(const Value* values, const Grid& grid, bool superlevel, bool reversed, std::int64_t begin_row,
              std::int64_t end_row, PixelMap& map, Plane* plane, Interrupt& interrupt) {
        extrema.clear();
        saddles.clear();
        all_finite = true;
        const Task task{values, grid, superlevel, reversed, begin_row, end_row, map, plane, interrupt};
        const std::size_t neighbors = grid.neighbors().size();
        if (neighbors <= 8)
            scan_rows<std::uint8_t>(task);
        else if (neighbors <= 16)
            scan_rows<std::uint16_t>(task);
        else
            scan_rows<std::uint32_t>(task);
    }

private:
    struct Task {
        const Value* values;
        const Grid& grid;
        bool superlevel, reversed;
        std::int64_t begin_row, end_row;
        PixelMap& map;
        Plane* plane;
        Interrupt& interrupt;

        bool takes_links() const { return plane && reversed; }
    };

    // Mask: a link, in as few bits as it needs. Its upper half, the neighbors that follow in C order, comes from
    // comparisons; its lower half from theirs, for a pixel is earlier than the one that is not earlier than it.
    template <class Mask>
    void scan_rows(const Task& task) {
        const Grid& grid = task.grid;
        const auto [depth, height, width] = grid.shape();
        const std::int64_t reach = depth > 1 ? height + 1 : height > 1;  // rows back to the first neighbor
        Rows<Mask> rows{{}, reach + 1, width};
        // Beside a row, all neighbors are later.
        rows.masks.assign(static_cast<std::size_t>(rows.count * (width + 2)), static_cast<Mask>(~Mask{0}));
        std::int64_t collected = task.begin_row * width;
        std::vector<Mask> passing;
        Mask* masks = nullptr;  // of pixels that are not collected yet
        if constexpr (std::is_same_v<Mask, std::uint8_t>)
            if (task.plane) masks = task.plane->links.begin() + collected;
        if (!task.plane) {
            passing.resize(static_cast<std::size_t>(width + PixelMap::word));
            masks = passing.data();
        }
        Pace pace(task.interrupt);
        if (!task.takes_links())
            for (std::int64_t row = std::max<std::int64_t>(0, task.begin_row - reach); row < task.begin_row; ++row)
                compare_with_following(task, row, rows);
        for (std::int64_t row = task.begin_row; row < task.end_row; ++row) {
            const std::int64_t first = row * width, end = first + width;
            Mask* here = masks + (first - collected);
            if (!task.takes_links()) {
                compare_with_following(task, row, rows);
                compare_with_preceding(task, row, rows, here);
                all_finite &= are_finite(task.values + first, width);
            }
            if (task.reversed) {
                const auto all = static_cast<Mask>(grid.neighborhood().all());
                for (std::int64_t x = 0; x < width; ++x) here[x] ^= all;
            }
            look_up_codes(task, row, here);
            const std::int64_t complete = row + 1 == task.end_row ? end : end - end % PixelMap::word;
            if (complete > collected) {
                collect(task, masks, collected, complete);
                if (task.plane)
                    masks += complete - collected;
                else
                    std::copy(masks + (complete - collected), masks + (end - collected), masks);
                collected = complete;
            }
            pace.after(width);
        }
    }

    template <class Mask>
    struct Rows {
        std::vector<Mask> masks;
        std::int64_t count, width;

        Mask* at(std::int64_t row) { return masks.data() + row % count * (width + 2) + 1; }
    };

    template <class Mask>
    static void compare_with_following(const Task& task, std::int64_t row, Rows<Mask>& rows) {
        const Grid& grid = task.grid;
        const auto [depth, height, width] = grid.shape();
        const auto neighbors = grid.neighbors();
        Mask* earlier = rows.at(row);
        std::fill_n(earlier, width, Mask{0});
        for (std::size_t i = neighbors.size() / 2; i < neighbors.size(); ++i) {
            const auto& n = neighbors[i];
            if (!grid.contains(row / height + n.dz, row % height + n.dy, 0)) continue;
            const std::int64_t begin = n.dx < 0, count = width - std::abs(n.dx);
            const Value* here = task.values + row * width + begin;
            const auto bit = static_cast<Mask>(Mask{1} << i);
            if (task.superlevel)
                mark<true>(here, here + grid.step(static_cast<unsigned>(i)), bit, earlier + begin, count);
            else
                mark<false>(here, here + grid.step(static_cast<unsigned>(i)), bit, earlier + begin, count);
        }
    }

    // Of equal values the one that follows is later.
    template <bool superlevel, class Mask>
    static void mark(const Value* __restrict here, const Value* __restrict there, Mask bit, Mask* __restrict earlier,
                     std::int64_t count) {
        for (std::int64_t x = 0; x < count; ++x)
            earlier[x] |= (superlevel ? there[x] > here[x] : there[x] < here[x]) ? bit : Mask{0};
    }

    template <class Mask>
    static void compare_with_preceding(const Task& task, std::int64_t row, Rows<Mask>& rows, Mask* __restrict masks) {
        const Grid& grid = task.grid;
        const auto [depth, height, width] = grid.shape();
        const auto neighbors = grid.neighbors();
        std::copy_n(rows.at(row), width, masks);
        for (std::size_t i = 0; i < neighbors.size() / 2; ++i) {
            const auto& n = neighbors[i];
            if (!grid.contains(row / height + n.dz, row % height + n.dy, 0)) continue;
            const Mask* __restrict there = rows.at(row + n.dz * height + n.dy) + n.dx;
            const auto bit = static_cast<Mask>(Mask{1} << i);
            const auto opposite = static_cast<Mask>(Mask{1} << (neighbors.size() - 1 - i));
            for (std::int64_t x = 0; x < width; ++x) masks[x] |= (there[x] & opposite) == 0 ? bit : Mask{0};
        }
    }

    template <class Mask>
    static void look_up_codes(const Task& task, std::int64_t row, const Mask* masks) {
        const Grid& grid = task.grid;
        const auto [depth, height, width] = grid.shape();
        std::uint8_t* codes = task.map.codes() + row * width;
        const Neighborhood& neighborhood = grid.neighborhood();
        if (const std::uint8_t* table = neighborhood.codes())
            for (std::int64_t x = 0; x < width; ++x) codes[x] = table[masks[x]];
        else
            for (std::int64_t x = 0; x < width; ++x) codes[x] = neighborhood.code(masks[x]);
        if (!task.reversed) return;
        const auto leads_outwards = [&](std::uint8_t& c) {
            c = static_cast<std::uint8_t>((c & ~code::direction) | code::outwards);
        };
        const std::int64_t y = row % height, z = row / height;
        if ((height > 1 && (y == 0 || y == height - 1)) || (depth > 1 && (z == 0 || z == depth - 1)))
            std::for_each(codes, codes + width, leads_outwards);
        leads_outwards(codes[0]);
        leads_outwards(codes[width - 1]);
    }

    // Goes through the words of pixels [begin, end), whose masks start with that of `begin`.
    template <class Mask>
    void collect(const Task& task, const Mask* masks, std::int64_t begin, std::int64_t end) {
        const Neighborhood& neighborhood = task.grid.neighborhood();
        for (std::int64_t first = begin; first < end; first += PixelMap::word) {
            std::uint64_t peaks = task.map.marked(first / PixelMap::word, code::extremum);
            std::uint64_t passes = task.map.marked(first / PixelMap::word, code::saddle);
            if (task.takes_links()) passes &= task.plane->loops[first / PixelMap::word];
            task.map.set_extrema(first / PixelMap::word, peaks, static_cast<Label>(extrema.size()));
            auto* extremum = extrema.room_for(PixelMap::word);
            for (; peaks; peaks &= peaks - 1) {
                const std::int64_t position = first + std::countr_zero(peaks);
                const bool late_first = task.superlevel != task.reversed;
                *extremum++ = {order_key(task.values[position], late_first), static_cast<Position>(position)};
            }
            extrema.end_at(extremum);
            auto* saddle = saddles.room_for(PixelMap::word);
            for (; passes; passes &= passes - 1) {
                const std::int64_t position = first + std::countr_zero(passes);
                *saddle++ = {static_cast<Position>(position), neighborhood.representatives(masks[position - begin])};
            }
            saddles.end_at(saddle);
        }
    }
};

}  // namespace topolayer
