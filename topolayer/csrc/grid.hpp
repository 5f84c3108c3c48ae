// A grid of pixels: its shape, its neighborhoods, and which pixels may be extrema or saddles of a function on it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

namespace topolayer {

enum class Connectivity { freudenthal, vertices, top_cells };

// Shape and neighborhood of a grid with one, two or three axes; missing ones come first and have length one.
class Grid {
public:
    // Which members of a pixel's link are earlier than it, a bit each.
    using Link = std::uint32_t;

    struct Neighbor {
        std::int64_t dz, dy, dx, step;  // step: distance in C order
        bool connected;                 // else it only tells whether two others are joined around a corner
    };

    // Directions beside those of neighbors: of a pixel that has no earlier neighbor, and of one that leaves the grid.
    static constexpr unsigned no_direction = 31, outwards = 30;

    Grid(std::span<const std::int64_t> shape, Connectivity connectivity) : given_(shape.begin(), shape.end()) {
        if (shape.empty() || shape.size() > shape_.size()) throw std::invalid_argument("a grid has one to three axes");
        std::copy(shape.begin(), shape.end(), shape_.end() - static_cast<std::ptrdiff_t>(shape.size()));
        find_neighbors(connectivity);
        if (neighbors_.size() <= largest_table) representatives_ = table(connectivity);
    }

    const std::array<std::int64_t, 3>& shape() const { return shape_; }

    std::int64_t size() const { return shape_[0] * shape_[1] * shape_[2]; }

    const std::vector<Neighbor>& neighbors() const { return neighbors_; }

    // One connected neighbor from each component of the earlier link.
    Link representatives(Link earlier) const {
        return representatives_ ? representatives_[earlier] : one_of_each_component(earlier);
    }

    std::int64_t step(unsigned direction) const { return steps_[direction]; }

    bool contains(std::int64_t z, std::int64_t y, std::int64_t x) const {
        return 0 <= z && z < shape_[0] && 0 <= y && y < shape_[1] && 0 <= x && x < shape_[2];
    }

    // Whether no pixel has neighbors on all sides.
    bool all_on_border() const {
        return std::any_of(given_.begin(), given_.end(), [](std::int64_t length) { return length < 3; });
    }

    bool leaves(std::int64_t position, unsigned direction) const {
        const Neighbor& n = neighbors_[direction];
        const std::int64_t row = position / shape_[2];
        return !contains(row / shape_[1] + n.dz, row % shape_[1] + n.dy, position % shape_[2] + n.dx);
    }

private:
    static constexpr std::size_t largest_table = 14;

    static bool is_neighbor(std::int64_t dz, std::int64_t dy, std::int64_t dx, Connectivity connectivity) {
        const std::int64_t distance = std::abs(dz) + std::abs(dy) + std::abs(dx);
        const bool touches = std::max({std::abs(dz), std::abs(dy), std::abs(dx)}) == 1;
        switch (connectivity) {
            case Connectivity::vertices: return distance == 1;
            case Connectivity::top_cells: return touches;
            // An edge goes from a vertex to one that is larger in some coordinates and smaller in none.
            case Connectivity::freudenthal: return touches && std::abs(dz + dy + dx) == distance;
        }
        return false;
    }

    void find_neighbors(Connectivity connectivity) {
        const std::int64_t z_reach = shape_[0] > 1, y_reach = shape_[1] > 1, x_reach = shape_[2] > 1;
        const bool look_around_corners = connectivity == Connectivity::vertices && !z_reach;
        for (std::int64_t dz = -z_reach; dz <= z_reach; ++dz)
            for (std::int64_t dy = -y_reach; dy <= y_reach; ++dy)
                for (std::int64_t dx = -x_reach; dx <= x_reach; ++dx) {
                    const bool connected = is_neighbor(dz, dy, dx, connectivity);
                    const bool corner = look_around_corners && std::abs(dy) + std::abs(dx) == 2;
                    if (connected || corner)
                        neighbors_.push_back({dz, dy, dx, (dz * shape_[1] + dy) * shape_[2] + dx, connected});
                }
        for (std::size_t i = 0; i < neighbors_.size(); ++i) {
            const Neighbor& a = neighbors_[i];
            steps_[i] = a.step;
            connected_ |= Link{a.connected} << i;
            for (std::size_t j = 0; j < neighbors_.size(); ++j) {
                const Neighbor& b = neighbors_[j];
                if (is_neighbor(a.dz - b.dz, a.dy - b.dy, a.dx - b.dx, connectivity)) joined_[i] |= Link{1} << j;
            }
        }
    }

    // Made once for each neighborhood.
    const Link* table(Connectivity connectivity) const {
        static std::array<std::vector<Link>, 24> tables;
        static std::array<std::once_flag, 24> made;
        std::size_t key = static_cast<std::size_t>(connectivity);
        for (const std::int64_t length : shape_) key = 2 * key + (length > 1);
        std::call_once(made[key], [&] {
            tables[key].resize(std::size_t{1} << neighbors_.size());
            for (Link earlier = 0; earlier < tables[key].size(); ++earlier)
                tables[key][earlier] = one_of_each_component(earlier);
        });
        return tables[key].data();
    }

    Link one_of_each_component(Link earlier) const {
        Link result = 0;
        while (earlier & connected_) {
            Link component = std::bit_floor(earlier & connected_);
            for (Link frontier = component; frontier;) {
                const int member = std::countr_zero(frontier);
                frontier &= frontier - 1;
                const Link found = joined_[member] & earlier & ~component;
                component |= found;
                frontier |= found;
            }
            result |= std::bit_floor(component & connected_);
            earlier &= ~component;
        }
        return result;
    }

    std::vector<std::int64_t> given_;  // without the missing axes
    std::array<std::int64_t, 3> shape_{1, 1, 1};
    std::vector<Neighbor> neighbors_;  // in C order: the first half precedes the pixel
    std::array<std::int64_t, 32> steps_{};
    Link connected_ = 0;
    std::array<Link, 26> joined_{};  // the neighbors that are neighbors of each other
    const Link* representatives_ = nullptr;  // of every possible earlier link, where that is a table of fair size
};

}  // namespace topolayer
