// The one pass over all pixels: finds those that matter, and from every other one a direction towards an earlier neighbor.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include "common/buffer.hpp"
#include "grid/grid.hpp"
#include "grid/neighborhood.hpp"
#include "grid/pixel_map.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
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

// A band of rows. It begins at a pixel whose position is a multiple of PixelMap::word, and so does the next one.
template <class Value>
class Band {
public:
    // In C order.
    Buffer<Extremum<Value>> extrema;
    Buffer<Saddle> saddles;
    bool all_finite = true;

    struct Task {
        Sample<Value> sample;
        const Grid& grid;
        bool reversed;  // the last in the order of the filtration is the first, and the outside of the grid is before all
        std::int64_t begin_row, end_row;
        PixelMap& map;
        Plane* plane;  // unless nullptr, it is given the links, or has them if reversed

        bool takes_links() const { return plane && reversed; }
    };

    void scan(const Task& task) {
        extrema.clear();
        saddles.clear();
        all_finite = true;
        const std::size_t neighbors = task.grid.neighbors().size();
        if (neighbors <= 8)
            scan_rows<std::uint8_t>(task);
        else if (neighbors <= 16)
            scan_rows<std::uint16_t>(task);
        else
            scan_rows<std::uint32_t>(task);
    }

private:
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
        Pace pace(task.sample.interrupt);
        if (!task.takes_links())
            for (std::int64_t row = std::max<std::int64_t>(0, task.begin_row - reach); row < task.begin_row; ++row)
                compare_with_following(task, row, rows);
        for (std::int64_t row = task.begin_row; row < task.end_row; ++row) {
            const std::int64_t first = row * width, end = first + width;
            Mask* here = masks + (first - collected);
            if (!task.takes_links()) {
                compare_with_following(task, row, rows);
                compare_with_preceding(task, row, rows, here);
                all_finite &= are_finite(task.sample.values + first, width);
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
            const Value* here = task.sample.values + row * width + begin;
            const auto bit = static_cast<Mask>(Mask{1} << i);
            if (task.sample.superlevel)
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
        const Value* const values = task.sample.values;
        const bool high_first = task.sample.superlevel != task.reversed;
        for (std::int64_t first = begin; first < end; first += PixelMap::word) {
            std::uint64_t peaks = task.map.marked(first / PixelMap::word, code::extremum);
            std::uint64_t passes = task.map.marked(first / PixelMap::word, code::saddle);
            if (task.takes_links()) passes &= task.plane->loops[first / PixelMap::word];
            task.map.set_extrema(first / PixelMap::word, peaks, static_cast<Label>(extrema.size()));
            auto* extremum = extrema.room_for(PixelMap::word);
            for (; peaks; peaks &= peaks - 1) {
                const std::int64_t position = first + std::countr_zero(peaks);
                *extremum++ = {order_key(values[position], high_first), static_cast<Position>(position)};
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
