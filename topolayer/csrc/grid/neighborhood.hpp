// Which neighbors a pixel has, and which of them are in one piece.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace topolayer {

enum class Connectivity { freudenthal, vertices, top_cells };

inline Connectivity dual(Connectivity connectivity) {
    switch (connectivity) {
        case Connectivity::vertices: return Connectivity::top_cells;
        case Connectivity::top_cells: return Connectivity::vertices;
        case Connectivity::freudenthal: break;
    }
    return connectivity;
}

// A set of members of a pixel's link, a bit each.
using Link = std::uint32_t;

// What a pixel is, in a byte: where an earlier neighbor is, and two marks.
namespace code {
inline constexpr unsigned direction = 31;                // the bits that hold the direction: a neighbor's number, or
inline constexpr unsigned none = 31, outwards = 30;      // an extremum has none; in a dual order border pixels lead outwards
inline constexpr unsigned extremum = 64, saddle = 128;
}  // namespace code

// The link of a pixel of a grid with one, two or three axes that are longer than one pixel.
class Neighborhood {
public:
    struct Neighbor {
        std::int64_t dz, dy, dx;
        bool connected;  // else it only tells whether two others are joined around a corner
    };

    // Made once for each kind.
    static const Neighborhood& of(Connectivity connectivity, std::size_t axes) {
        // For as long as the process lives. No lock: it might be held by another thread when the process forks.
        static std::array<std::atomic<const Neighborhood*>, 12> kinds;
        std::atomic<const Neighborhood*>& kind = kinds[4 * static_cast<std::size_t>(connectivity) + axes];
        const Neighborhood* made = kind.load(std::memory_order_acquire);
        if (!made) {
            std::unique_ptr<const Neighborhood> mine(new Neighborhood(connectivity, axes));
            if (kind.compare_exchange_strong(made, mine.get())) made = mine.release();
        }
        return *made;
    }

    // In C order, but for the corners of a cube, which come behind all others: so what the connectivity of vertices looks at
    // comes first in the one of top cells.
    std::span<const Neighbor> neighbors() const { return neighbors_; }

    // The number of the neighbor on the other side.
    unsigned opposite(unsigned direction) const { return opposites_[direction]; }

    Link all() const { return static_cast<Link>((std::uint64_t{1} << neighbors_.size()) - 1); }

    // One connected neighbor from each component of the earlier part of a link.
    Link representatives(Link earlier) const {
        return representatives_.empty() ? find_representatives(earlier) : representatives_[earlier];
    }

    std::uint8_t code(Link earlier) const {
        return codes_.empty() ? code_of(find_representatives(earlier)) : codes_[earlier];
    }

    // The codes of all links, where it is a table.
    const std::uint8_t* codes() const { return codes_.empty() ? nullptr : codes_.data(); }

    // All neighbors in a link that are in one piece with a member.
    Link component(Link member, Link earlier) const {
        Link component = member, grown;
        while ((grown = component | (joined_to(component) & earlier)) != component) component = grown;
        return component;
    }

    // The neighbors that are neighbors of a member.
    Link joined_to(Link members) const {
        constexpr Link half = (Link{1} << half_size) - 1;
        return joined_to_half_[0][members & half] | joined_to_half_[1][members >> half_size];
    }

    static std::uint8_t code_of(Link representatives) {
        const auto direction = static_cast<unsigned>(std::countr_zero(representatives | Link{1} << code::none));
        const bool several = (representatives & (representatives - 1)) != 0;
        return static_cast<std::uint8_t>(direction | (representatives == 0 ? code::extremum : 0) |
                                         (several ? code::saddle : 0));
    }

private:
    static constexpr std::size_t largest_table = 18, half_size = 13;

    Neighborhood(Connectivity connectivity, std::size_t axes) {
        find_neighbors(connectivity, axes);
        if (neighbors_.size() > largest_table) return;
        for (Link earlier = 0; earlier <= all(); ++earlier) {
            representatives_.push_back(find_representatives(earlier));
            codes_.push_back(code_of(representatives_.back()));
        }
    }

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

    static bool is_cube_corner(const Neighbor& n) { return n.dz != 0 && n.dy != 0 && n.dx != 0; }

    void find_neighbors(Connectivity connectivity, std::size_t axes) {
        const std::int64_t z_reach = axes > 2, y_reach = axes > 1, x_reach = axes > 0;
        const bool around_corners = connectivity == Connectivity::vertices;
        for (std::int64_t dz = -z_reach; dz <= z_reach; ++dz)
            for (std::int64_t dy = -y_reach; dy <= y_reach; ++dy)
                for (std::int64_t dx = -x_reach; dx <= x_reach; ++dx) {
                    const bool connected = is_neighbor(dz, dy, dx, connectivity);
                    const bool corner = around_corners && std::abs(dz) + std::abs(dy) + std::abs(dx) == 2;
                    if (connected || corner) neighbors_.push_back({dz, dy, dx, connected});
                }
        if (connectivity == Connectivity::top_cells)
            std::stable_partition(neighbors_.begin(), neighbors_.end(), std::not_fn(is_cube_corner));
        for (std::size_t i = 0; i < neighbors_.size(); ++i) {
            const Neighbor& a = neighbors_[i];
            for (std::size_t j = 0; j < neighbors_.size(); ++j)
                if (neighbors_[j].dz == -a.dz && neighbors_[j].dy == -a.dy && neighbors_[j].dx == -a.dx)
                    opposites_[i] = static_cast<unsigned>(j);
            connected_ |= Link{a.connected} << i;
            Link joined = 0;
            for (std::size_t j = 0; j < neighbors_.size(); ++j) {
                const Neighbor& b = neighbors_[j];
                if (is_neighbor(a.dz - b.dz, a.dy - b.dy, a.dx - b.dx, connectivity)) joined |= Link{1} << j;
            }
            // All sets whose last member this is: what is joined to the set without it is known.
            std::vector<Link>& half = joined_to_half_[i / half_size];
            for (std::size_t set = 0, sets = half.size(); set < sets; ++set) half.push_back(half[set] | joined);
        }
    }

    Link find_representatives(Link earlier) const {
        Link result = 0;
        while (earlier & connected_) {
            const Link component = this->component(std::bit_floor(earlier & connected_), earlier);
            result |= std::bit_floor(component & connected_);
            earlier &= ~component;
        }
        return result;
    }

    std::vector<Neighbor> neighbors_;
    std::array<unsigned, 26> opposites_{};
    Link connected_ = 0;
    std::array<std::vector<Link>, 2> joined_to_half_{{{0}, {0}}};  // of sets of the first 13 neighbors, and of the others
    std::vector<Link> representatives_;
    std::vector<std::uint8_t> codes_;
};

}  // namespace topolayer
