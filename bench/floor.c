/*
 * The floor: a star of N namespaces by nothing but system calls and netlink, one thread, no process.
 *
 *   floor up N [one]     one: one message in a call, instead of as many as fit
 *   floor down N         take the names away, wait until the last port has really gone
 *   floor watch NETNS|-  say "watching", then wait until no port leads out of it any more ("-": here)
 *   floor lab TIMES      two namespaces on a wire, a ping, let go of; the median of so many
 *   floor settle         wait until the kernel has finished with all namespaces that have died
 *   floor run COMMAND    run it, and say on the last line how long it took and its peak of memory
 *
 * The star is what netloom makes of `networks: {lan: {subnet: 10.64.0.0/16, gateway: 10.64.255.254}}`
 * and N members: bridges in a namespace of their own (1000 ports to a bridge, bridges in a chain), a
 * veth to each member, address, default route, lo up, every link marked by an alias, no IPv6
 * link-local addresses. Names are bound in /run/netns, which the caller has made private.
 *
 * It prints its phases in seconds as JSON. It is for measuring only: any refusal ends it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 1000, NEAR = 100, FAR = 2, LO = 1, TRUNKS = 1000000, FULL = 60000 };
#define SWITCH "/run/netns/floor-switch"

static char out[65536], in[1 << 18];
static int used, batched = 1;
static struct nlmsghdr *msg;

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- messages ------------------------------------------------------------------------------- */

static void *put(const void *bytes, int size) {
    void *at = out + used;
    if (bytes)
        memcpy(at, bytes, size);
    else
        memset(at, 0, size);
    memset(out + used + size, 0, NLMSG_ALIGN(size) - size);
    used += NLMSG_ALIGN(size);
    return at;
}

static struct rtattr *attr(int type, const void *bytes, int size) {
    struct rtattr head = {.rta_len = RTA_LENGTH(size), .rta_type = type};
    struct rtattr *at = put(&head, sizeof head);
    if (size)
        put(bytes, size);
    return at;
}

static void attr_int(int type, unsigned value) { attr(type, &value, sizeof value); }
static void attr_text(int type, const char *text) { attr(type, text, strlen(text) + 1); }
static struct rtattr *nest(int type) { return attr(type, NULL, 0); }
static void end_nest(struct rtattr *at) { at->rta_len = out + used - (char *)at; }

static void begin(int type, int flags) {
    struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};
    msg = put(&head, sizeof head);
}

static void end(void) { msg->nlmsg_len = out + used - (char *)msg; }

/* Send what has been put together; the last message asks for an answer, a refusal comes unasked. */
static void flush(int sock, const char *what) {
    if (!used)
        return;
    msg->nlmsg_flags |= NLM_F_ACK;
    if (send(sock, out, used, 0) != used)
        die(what);
    used = 0;
    int size = recv(sock, in, sizeof in, 0);
    struct nlmsghdr *reply = (struct nlmsghdr *)in;
    if (size < 0 || !NLMSG_OK(reply, (unsigned)size) || reply->nlmsg_type != NLMSG_ERROR)
        die(what);
    errno = -((struct nlmsgerr *)NLMSG_DATA(reply))->error;
    if (errno)
        die(what);
}

static void done(int sock, const char *what) {
    end();
    if (!batched || used > FULL)
        flush(sock, what);
}

/* ---- the star ------------------------------------------------------------------------------- */

static void link_head(int index, int up) {
    struct ifinfomsg link = {.ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = up ? IFF_UP : 0};
    put(&link, sizeof link);
}

/* Its own message, before the link goes up: within one message the kernel sets it up first, and a
 * link with a carrier gets its address at that moment (do_setlink, addrconf_notify). */
static void forgo_link_local(int sock, int index) {
    unsigned char none = IN6_ADDR_GEN_MODE_NONE;
    begin(RTM_NEWLINK, 0);
    link_head(index, 0);
    struct rtattr *families = nest(IFLA_AF_SPEC), *inet6 = nest(AF_INET6);
    attr(IFLA_INET6_ADDR_GEN_MODE, &none, 1);
    end_nest(inet6);
    end_nest(families);
    done(sock, "link set addrgenmode none");
}

static void set_up(int sock, int index, const char *alias) {
    if (index != LO)
        forgo_link_local(sock, index);
    begin(RTM_NEWLINK, 0);
    link_head(index, 1);
    attr_text(IFLA_IFALIAS, alias);
    done(sock, "link set up");
}

static void identity(const char *name, int kind, int number) {
    unsigned char mac[6] = {2, kind, 0, number >> 16, number >> 8, number};
    attr_text(IFLA_IFNAME, name);
    attr(IFLA_ADDRESS, mac, sizeof mac);
    attr_int(IFLA_MTU, 1500);
}

/* A veth uses no more in any case; unasked, the kernel makes one for each processor, and waits for RCU
 * to take the others away (veth_init_queues). */
static void one_queue(void) {
    attr_int(IFLA_NUM_TX_QUEUES, 1);
    attr_int(IFLA_NUM_RX_QUEUES, 1);
}

static void add_bridge(int sock, int index, const char *name) {
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link_head(index, 0);
    identity(name, 3, index);
    struct rtattr *info = nest(IFLA_LINKINFO);
    attr_text(IFLA_INFO_KIND, "bridge");
    end_nest(info);
    done(sock, "link add bridge");
}

/* A veth, born in place: near end a port of `master`, far end in the namespace `netns` (or here). */
static void add_veth(int sock, int near, const char *near_name, int master, int far, const char *far_name, int netns) {
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link_head(near, 0);
    identity(near_name, 0, near);
    one_queue();
    attr_int(IFLA_MASTER, master);
    struct rtattr *info = nest(IFLA_LINKINFO);
    attr_text(IFLA_INFO_KIND, "veth");
    struct rtattr *data = nest(IFLA_INFO_DATA), *peer = nest(VETH_INFO_PEER);
    link_head(far, 0);
    identity(far_name, 1, near);
    one_queue();
    if (netns >= 0)
        attr_int(IFLA_NET_NS_FD, netns);
    end_nest(peer);
    end_nest(data);
    end_nest(info);
    done(sock, "link add veth");
}

static void join(int sock, int index, int master) {
    begin(RTM_NEWLINK, 0);
    link_head(index, 0);
    attr_int(IFLA_MASTER, master);
    done(sock, "link set master");
}

static void add_addr(int sock, unsigned address) {
    struct ifaddrmsg addr = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = FAR};
    begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    put(&addr, sizeof addr);
    attr_int(IFA_LOCAL, address);
    attr_int(IFA_ADDRESS, address);
    attr_int(IFA_BROADCAST, htonl(0x0a40ffff));
    done(sock, "addr add");
}

static void add_default(int sock) {
    struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST};
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    put(&route, sizeof route);
    attr_int(RTA_GATEWAY, htonl(0x0a40fffe));
    attr_int(RTA_OIF, FAR);
    done(sock, "route add default");
}

static int netlink(void) {
    int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl me = {.nl_family = AF_NETLINK};
    if (sock < 0 || bind(sock, (struct sockaddr *)&me, sizeof me))
        die("netlink socket");
    return sock;
}

static char *path_of(int i) {
    static char path[64];
    snprintf(path, sizeof path, "/run/netns/f%d", i);
    return path;
}

/* A namespace becomes visible last: made, marked, and then bound to its name. */
static void new_netns(const char *path, int *sock, int *netns) {
    if (unshare(CLONE_NEWNET))
        die("unshare");
    *sock = netlink();
    set_up(*sock, LO, "netloom:floor/member");
    flush(*sock, "lo up");
    *netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (file < 0 || close(file) || mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL))
        die(path);
}

static void add_bridges(int sock, int bridges) {
    char name[2][IFNAMSIZ];
    for (int i = 0; i < bridges; i++) {
        snprintf(name[0], IFNAMSIZ, "lan%d", i);
        add_bridge(sock, FAR + i, name[0]);
    }
    for (int i = 1; i < bridges; i++) {
        int one = TRUNKS + 2 * i, other = one + 1;
        snprintf(name[0], IFNAMSIZ, "up%d", i);
        snprintf(name[1], IFNAMSIZ, "down%d", i);
        add_veth(sock, one, name[0], FAR + i - 1, other, name[1], -1);
        join(sock, other, FAR + i);
        set_up(sock, one, "netloom:floor");
        set_up(sock, other, "netloom:floor");
    }
    for (int i = 0; i < bridges; i++)
        set_up(sock, FAR + i, "netloom:floor");
    flush(sock, "bridges");
}

/* How many namespaces may be open at once, two descriptors each: as many as the hard limit allows,
   which only CAP_SYS_RESOURCE could raise. */
static int most_open(int n) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        die("getrlimit");
    rlim_t wanted = 2 * (rlim_t)n + 64;
    files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files))
        die("setrlimit");
    return (files.rlim_cur - 64) / 2;
}

static void up(int n) {
    int *socks = calloc(n, sizeof *socks), *netns = calloc(n, sizeof *netns);
    int hub, hub_netns, most = most_open(n);
    char name[IFNAMSIZ], alias[64];
    double begin = now(), took[4] = {0}, t[5];

    new_netns(SWITCH, &hub, &hub_netns);
    add_bridges(hub, (n + PORTS - 1) / PORTS);
    double made = now();
    for (int from = 0, to; from < n; from = to) {
        to = from + most < n ? from + most : n;
        t[0] = now();
        for (int i = from; i < to; i++)
            new_netns(path_of(i), &socks[i], &netns[i]);
        t[1] = now();
        for (int i = from; i < to; i++) {
            snprintf(name, sizeof name, "f%d", i);
            add_veth(hub, NEAR + i, name, FAR + i / PORTS, FAR, "lan", netns[i]);
            snprintf(alias, sizeof alias, "netloom:floor to f%d:lan", i);
            set_up(hub, NEAR + i, alias); /* now: once all are there, each costs more */
        }
        flush(hub, "wires");
        t[2] = now();
        for (int i = from; i < to; i++) {
            set_up(socks[i], FAR, "netloom:floor to floor-switch:f");
            add_addr(socks[i], htonl(0x0a400001 + i));
            add_default(socks[i]);
            flush(socks[i], "member");
        }
        t[3] = now();
        for (int i = from; i < to; i++)
            close(socks[i]), close(netns[i]);
        t[4] = now();
        for (int phase = 0; phase < 4; phase++)
            took[phase] += t[phase + 1] - t[phase];
    }
    printf("{\"switch\": %.6f, \"namespaces\": %.6f, \"wires\": %.6f, \"members\": %.6f, \"close\": %.6f,"
           " \"total\": %.6f}\n",
           made - begin, took[0], took[1], took[2], took[3], now() - begin);
}

/* ---- the witness ---------------------------------------------------------------------------- */

static int ports[1 << 20], count, left; /* the links that lead out of a namespace, by index */

static int by_index(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Whether a link's other end is in another namespace (a DELLINK does not say it any more). */
static int leads_out(struct nlmsghdr *head) {
    struct ifinfomsg *link = NLMSG_DATA(head);
    int size = head->nlmsg_len - NLMSG_LENGTH(sizeof *link);
    for (struct rtattr *a = IFLA_RTA(link); RTA_OK(a, size); a = RTA_NEXT(a, size))
        if (a->rta_type == IFLA_LINK_NETNSID)
            return 1;
    return 0;
}

/* Read one datagram into `ports`, or out of them; false at the end of a dump. */
static int take(int sock) {
    int size = recv(sock, in, sizeof in, 0);
    if (size < 0)
        die("watch");
    for (struct nlmsghdr *head = (void *)in; NLMSG_OK(head, (unsigned)size); head = NLMSG_NEXT(head, size)) {
        struct ifinfomsg *link = NLMSG_DATA(head);
        if (head->nlmsg_type == NLMSG_DONE)
            return 0;
        if (head->nlmsg_type == RTM_NEWLINK && head->nlmsg_flags & NLM_F_MULTI && leads_out(head))
            ports[count++] = link->ifi_index;
        if (head->nlmsg_type == RTM_DELLINK && link->ifi_family == AF_UNSPEC)
            left -= !!bsearch(&link->ifi_index, ports, count, sizeof *ports, by_index);
    }
    return 1;
}

static void list_ports(void) {
    count = 0;
    int sock = netlink();
    begin(RTM_GETLINK, NLM_F_DUMP);
    link_head(0, 0);
    end();
    if (send(sock, out, used, 0) != used)
        die("link dump");
    used = 0;
    while (take(sock))
        ;
    close(sock);
    qsort(ports, count, sizeof *ports, by_index);
    left = count;
}

static int watch(void) {
    int sock = netlink(), group = RTNLGRP_LINK, size = 1 << 28;
    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) ||
        setsockopt(sock, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group))
        die("watch");
    list_ports();
    return sock;
}

static void wait_until_gone(int sock) {
    while (left > 0)
        take(sock);
}

static void enter(const char *path) {
    int netns = open(path, O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET) || close(netns))
        die(path);
}

static void down(int n) {
    double t[3];
    enter(SWITCH);
    int sock = watch();
    t[0] = now();
    for (int i = -1; i < n; i++) {
        const char *path = i < 0 ? SWITCH : path_of(i);
        if (umount2(path, MNT_DETACH) || unlink(path))
            die(path);
    }
    t[1] = now();
    wait_until_gone(sock);
    t[2] = now();
    printf("{\"names\": %.6f, \"gone\": %.6f, \"total\": %.6f}\n", t[1] - t[0], t[2] - t[1], t[2] - t[0]);
}

static void watch_and_tell(const char *path) {
    if (strcmp(path, "-"))
        enter(path);
    int sock = watch();
    printf("{\"watching\": %d}\n", count);
    fflush(stdout);
    wait_until_gone(sock);
    printf("{\"gone_at\": %.6f}\n", now());
}

/* The kernel lets namespaces die in order: when one that dies now has gone, so have all before it. */
static void settle(void) {
    int sock = netlink(), here = open("/proc/thread-self/ns/net", O_RDONLY), events, there;
    if (unshare(CLONE_NEWNET) || (there = open("/proc/thread-self/ns/net", O_RDONLY)) < 0 || setns(here, CLONE_NEWNET))
        die("settle");
    batched = 0;
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link_head(0, 0);
    attr_text(IFLA_IFNAME, "settle");
    struct rtattr *info = nest(IFLA_LINKINFO);
    attr_text(IFLA_INFO_KIND, "veth");
    struct rtattr *data = nest(IFLA_INFO_DATA), *peer = nest(VETH_INFO_PEER);
    link_head(0, 0);
    attr_int(IFLA_NET_NS_FD, there);
    end_nest(peer);
    end_nest(data);
    end_nest(info);
    done(sock, "settle");
    events = watch();
    close(there);
    wait_until_gone(events);
}

/* ---- a lab, as a test makes one ------------------------------------------------------------- */

static int nameless(int *sock) {
    if (unshare(CLONE_NEWNET))
        die("unshare");
    *sock = netlink();
    set_up(*sock, LO, "netloom:floor/member");
    flush(*sock, "lo up");
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Asked for one link, the kernel deals with its carrier now, and not in its own time. */
static void settle_carrier(int sock) {
    begin(RTM_GETLINK, 0);
    link_head(FAR, 0);
    end();
    if (send(sock, out, used, 0) != used || recv(sock, in, sizeof in, 0) < 0)
        die("link get");
    used = 0;
}

static void ping(unsigned address) {
    unsigned char echo[8] = {8, 0, 0xf7, 0xff}, reply[256];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    int sock = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (sock < 0 || sendto(sock, echo, sizeof echo, 0, (void *)&to, sizeof to) < 0)
        die("ping");
    do
        if (recv(sock, reply, sizeof reply, 0) < 28)
            die("ping");
    while (reply[(reply[0] & 15) * 4] != 0);
    close(sock);
}

static void one_lab(int here) {
    int sock[2], netns[2];
    for (int i = 0; i < 2; i++)
        netns[i] = nameless(&sock[i]);
    add_veth(sock[1], FAR, "a", 0, FAR, "b", netns[0]);
    flush(sock[1], "wire");
    for (int i = 0; i < 2; i++) {
        set_up(sock[i], FAR, "netloom:floor to f:a");
        add_addr(sock[i], htonl(0x0a400001 + i));
        flush(sock[i], "member");
    }
    for (int i = 0; i < 2; i++)
        settle_carrier(sock[i]);
    ping(htonl(0x0a400001));
    if (setns(here, CLONE_NEWNET))
        die("setns");
    for (int i = 0; i < 2; i++)
        close(sock[i]), close(netns[i]);
}

static int by_time(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

static void lab(int times) {
    int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    double *took = calloc(times, sizeof *took);
    for (int i = -5; i < times; i++) {
        double start = now();
        one_lab(here);
        if (i >= 0)
            took[i] = now() - start;
    }
    qsort(took, times, sizeof *took, by_time);
    printf("{\"total\": %.6f}\n", took[times / 2]);
}

/* A child of ours begins small; a child of the harness would count the harness's memory as its own. */
static int run(char **command) {
    struct rusage used_by_it;
    int status;
    double start = now();
    pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        die(command[0]);
    }
    if (child < 0 || wait4(child, &status, 0, &used_by_it) < 0)
        die("run");
    printf("{\"wall\": %.6f, \"peak_kb\": %ld}\n", now() - start, used_by_it.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    batched = !(argc > 3 && !strcmp(argv[3], "one"));
    if (!strcmp(verb, "up") && argc > 2)
        up(atoi(argv[2]));
    else if (!strcmp(verb, "down") && argc > 2)
        down(atoi(argv[2]));
    else if (!strcmp(verb, "watch") && argc > 2)
        watch_and_tell(argv[2]);
    else if (!strcmp(verb, "lab") && argc > 2)
        lab(atoi(argv[2]));
    else if (!strcmp(verb, "settle"))
        settle(), settle();
    else if (!strcmp(verb, "run") && argc > 2)
        return run(argv + 2);
    else
        return fprintf(stderr, "usage: floor up N [one] | down N | watch NETNS|- | lab TIMES | settle | run COMMAND\n"), 2;
    return 0;
}
