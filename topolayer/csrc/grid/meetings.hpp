// Which of the components around a pixel meet first when it enters. To persistence it is all one, as all of them meet at the
// value of the pixel. What is matched depends on it, where there are three or more.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "grid/grid.hpp"
#include "grid/neighborhood.hpp"

namespace topolayer {

// Cells of one pixel enter in C order of their places in the grid of cells, simplices in the lexicographic order of their
// vertices; in a reversed order the other way round. Components are united by walls: cells of a pixel that join two nodes each,
// which are cells of another dimension. A neighbor that entered earlier lies in the nodes that it is a part of.
class Meetings {
public:
    // For H0 of the grid, or H0 in the reversed order, of what is dual to its cells.
    Meetings(const Grid& grid, bool reversed) : neighbors_(grid.neighbors()) {
        switch (grid.connectivity()) {
            case Connectivity::vertices: make_star(); break;
            case Connectivity::top_cells: make_corners(static_cast<int>(grid.axes())); break;
            case Connectivity::freudenthal:
                if (reversed)
                    make_cliques(grid);
                else
                    make_star();
        }
        if (reversed) std::reverse(walls_.begin(), walls_.end());
    }

    // Calls meet(i, j) for the indices of two components that meet, one after another, once less than there are components:
    // pieces of a link, at most 32.
    template <class Function>
    void for_each(std::span<const Link> components, Function meet) const {
        std::array<std::uint8_t, most_nodes> piece;  // the index of a component in it; if there is none, any other number
        for (std::size_t node = 0; node < nodes_.size(); ++node) {
            std::size_t i = 0;
            while (i < components.size() && !(components[i] & nodes_[node])) ++i;
            piece[node] = static_cast<std::uint8_t>(i < components.size() ? i : components.size() + node);
        }
        for (const auto& [a, b] : walls_) {
            const auto [kept, gone] = std::minmax(piece[a], piece[b]);
            if (kept == gone) continue;
            if (gone < components.size()) meet(std::size_t{kept}, std::size_t{gone});
            std::replace(piece.begin(), piece.begin() + nodes_.size(), std::uint8_t{gone}, std::uint8_t{kept});
        }
    }

private:
    static constexpr std::size_t most_nodes = 32;

    // Walls are edges to neighbors, or sides in common with them.
    void make_star() {
        nodes_.push_back(0);
        for (std::size_t i = 0; i < neighbors_.size(); ++i) {
            if (!neighbors_[i].connected) continue;
            walls_.push_back({0, static_cast<std::uint8_t>(nodes_.size())});
            nodes_.push_back(Link{1} << i);
        }
    }

    // Nodes are the corners of the pixel, or the cells around the vertex, and walls the edges or sides between two of them. The
    // coordinates of corners are -1 and 1, and those of walls 0 in one place.
    void make_corners(int axes) {
        const auto coordinates = [&](int number, int base) {
            std::array<int, 3> result{};
            for (int axis = 2; axis > 2 - axes; --axis, number /= base) result[axis] = number % base;
            return result;
        };
        for (int number = 0; number < 1 << axes; ++number) {
            const auto corner = coordinates(number, 2);
            Link touching = 0;
            for (std::size_t i = 0; i < neighbors_.size(); ++i) {
                const std::array<std::int64_t, 3> n{neighbors_[i].dz, neighbors_[i].dy, neighbors_[i].dx};
                bool touches = true;
                for (int axis = 0; axis < 3; ++axis) touches &= n[axis] == 0 || n[axis] == 2 * corner[axis] - 1;
                touching |= Link{touches} << i;
            }
            nodes_.push_back(touching);
        }
        int walls = 1;
        for (int axis = 0; axis < axes; ++axis) walls *= 3;
        for (int number = 0; number < walls; ++number) {
            const auto wall = coordinates(number, 3);
            if (std::count(wall.end() - axes, wall.end(), 1) != 1) continue;
            int low = 0, high = 0;
            for (int axis = 3 - axes; axis < 3; ++axis) {
                low = 2 * low + (wall[axis] == 2);
                high = 2 * high + (wall[axis] >= 1);
            }
            walls_.push_back({static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high)});
        }
    }

    // Nodes are the cells of the triangulation around the pixel, walls their sides at the pixel: as many of its neighbors that are
    // neighbors of each other as there are axes, or one less.
    void make_cliques(const Grid& grid) {
        std::vector<Link> sides{0};
        for (std::int64_t size = 0; size < grid.axes(); ++size) {
            std::vector<Link> larger;
            for (const Link clique : sides)
                for (Link vertex = std::bit_floor(clique) << 1 | (clique == 0); vertex & grid.neighborhood().all(); vertex <<= 1)
                    if ((grid.neighborhood().joined_to(vertex) & clique) == clique) larger.push_back(clique | vertex);
            nodes_.swap(sides);
            sides.swap(larger);
        }
        nodes_.swap(sides);
        std::sort(sides.begin(), sides.end(),
                  [&](Link a, Link b) { return vertices_of(a) < vertices_of(b); });
        for (const Link side : sides) {
            std::vector<std::uint8_t> ends;
            for (std::size_t node = 0; node < nodes_.size(); ++node)
                if ((nodes_[node] & side) == side) ends.push_back(static_cast<std::uint8_t>(node));
            walls_.push_back({ends.front(), ends.back()});
        }
    }

    // In order, with the pixel itself between its neighbors before and behind it.
    std::vector<std::size_t> vertices_of(Link clique) const {
        const std::size_t before = neighbors_.size() / 2;
        std::vector<std::size_t> result{before};
        for (std::size_t i = 0; i < neighbors_.size(); ++i)
            if (clique >> i & 1) result.push_back(i + (i >= before));
        std::sort(result.begin(), result.end());
        return result;
    }

    std::span<const Neighborhood::Neighbor> neighbors_;
    std::vector<Link> nodes_;                                // the neighbors that lie in each
    std::vector<std::pair<std::uint8_t, std::uint8_t>> walls_;  // in order of entry, with the nodes that they join
};

}  // namespace topolayer
