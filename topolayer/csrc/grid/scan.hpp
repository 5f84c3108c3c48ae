// The one pass over all pixels: finds those that matter, and from every other one a direction towards an earlier neighbor.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "common/buffer.hpp"
#include "grid/comparisons.hpp"
#include "grid/grid.hpp"
#include "grid/neighborhood.hpp"
#include "grid/pixel_map.hpp"
#include "grid/voxel_links.hpp"
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

// The pixels of a band of rows that matter. It begins at a pixel whose position is a multiple of PixelMap::word, and so does the
// next one.
template <class Value>
class Band {
public:
    // In C order.
    Buffer<Extremum<Value>> extrema;
    Buffer<Saddle> saddles;
    Buffer<Link> links;  // of the saddles, where they are asked for
    bool all_finite = true;

    struct Task {
        const Sample<Value>& sample;
        const Grid& grid;
        bool reversed;  // the last in the order of the filtration is the first, and the outside of the grid is before all
        std::int64_t begin_row, end_row;
        PixelMap& map;
        Plane* plane = nullptr;  // unless nullptr, it is given the links, or has them if reversed
        bool keeps_links = false;

        bool takes_links() const { return plane && reversed; }
    };

    void clear() {
        extrema.clear();
        saddles.clear();
        links.clear();
        all_finite = true;
    }

    void scan(const Task& task) {
        clear();
        const std::size_t neighbors = task.grid.neighbors().size();
        if (neighbors <= 8)
            scan_rows<std::uint8_t>(task);
        else if (neighbors <= 16)
            scan_rows<std::uint16_t>(task);
        else
            scan_rows<std::uint32_t>(task);
    }

    // In a reversed order the pixels on the border lead outwards.
    static void lead_outwards(const Grid& grid, std::int64_t row, std::uint8_t* codes) {
        const auto [depth, height, width] = grid.shape();
        const auto leads_outwards = [&](std::uint8_t& c) {
            c = static_cast<std::uint8_t>((c & ~code::direction) | code::outwards);
        };
        const std::int64_t y = row % height, z = row / height;
        if ((height > 1 && (y == 0 || y == height - 1)) || (depth > 1 && (z == 0 || z == depth - 1)))
            std::for_each(codes, codes + width, leads_outwards);
        leads_outwards(codes[0]);
        leads_outwards(codes[width - 1]);
    }

    // Ways end at pixels of other slabs, which are taken for extrema.
    static void end_ways(const Grid& grid, std::int64_t row, std::uint8_t* codes) {
        const std::int64_t width = grid.shape()[2], first = row * width;
        if (grid.own_begin() <= first && first + width <= grid.own_end()) return;
        for (std::int64_t x = 0; x < width; ++x)
            if (first + x < grid.own_begin() || first + x >= grid.own_end())
                codes[x] = static_cast<std::uint8_t>(code::extremum | code::none);
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
            if (task.keeps_links)
                for (std::uint64_t left = passes; left; left &= left - 1)
                    links.push_back(masks[first + std::countr_zero(left) - begin]);
            auto* saddle = saddles.room_for(PixelMap::word);
            for (; passes; passes &= passes - 1) {
                const std::int64_t position = first + std::countr_zero(passes);
                *saddle++ = {static_cast<Position>(position), neighborhood.representatives(masks[position - begin])};
            }
            saddles.end_at(saddle);
        }
    }

private:
    template <class Mask>
    void scan_rows(const Task& task) {
        const Grid& grid = task.grid;
        const std::int64_t width = grid.shape()[2];
        std::int64_t collected = task.begin_row * width;
        std::vector<Mask> passing;
        Mask* masks = nullptr;  // of pixels that are not collected yet
        if constexpr (std::is_same_v<Mask, std::uint8_t>)
            if (task.plane) masks = task.plane->links.begin() + collected;
        if (!task.plane) {
            passing.resize(static_cast<std::size_t>(width + PixelMap::word));
            masks = passing.data();
        }
        const bool in_slab = !grid.is_whole();
        Pace pace(task.sample.interrupt);
        std::optional<Comparisons<Value, Mask>> comparisons;
        if (!task.takes_links()) comparisons.emplace(task.sample, grid, task.begin_row);
        for (std::int64_t row = task.begin_row; row < task.end_row; ++row) {
            const std::int64_t first = row * width, end = first + width;
            Mask* here = masks + (first - collected);
            if (comparisons) {
                comparisons->find_links(row, here);
                all_finite &= are_finite(task.sample.values + first, width);
            }
            if (task.reversed) {
                const auto all = static_cast<Mask>(grid.neighborhood().all());
                for (std::int64_t x = 0; x < width; ++x) here[x] ^= all;
            }
            look_up_codes(task, row, here);
            if (in_slab) end_ways(grid, row, task.map.codes() + first);
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
    static void look_up_codes(const Task& task, std::int64_t row, const Mask* masks) {
        const std::int64_t width = task.grid.shape()[2];
        std::uint8_t* codes = task.map.codes() + row * width;
        const Neighborhood& neighborhood = task.grid.neighborhood();
        if (const std::uint8_t* table = neighborhood.codes()) {
            for (std::int64_t x = 0; x < width; ++x) codes[x] = table[masks[x]];
        } else {
            // All neighbors of a voxel. Mostly those that are earlier are in one piece, which is seen from the others.
            const auto& links = VoxelLinks<CubicalKind>::get();
            const auto all = neighborhood.all();
            for (std::int64_t x = 0; x < width; ++x) {
                const Link others = masks[x] ^ all;
                codes[x] = links.loops(others) == 0
                               ? static_cast<std::uint8_t>(std::bit_width(Link{masks[x]}) - 1)
                               : neighborhood.code(masks[x]);
            }
        }
        if (task.reversed) lead_outwards(task.grid, row, codes);
    }
};

}  // namespace topolayer
