// sioload - neutral Socket.IO (Engine.IO v4 / Socket.IO protocol v5, raw WebSocket) load generator.
// One thread, epoll, no libraries.   gcc -O3 -march=native -o sioload sioload.c
//
// Modes: connect | idle | echo | bcast | room       (see usage())
// Output: one JSON line on stdout. Exit 0 only if every expected message arrived exactly once.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <stdarg.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>
#include <signal.h>
#include <getopt.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#define likely(x) __builtin_expect(!!(x),1)
#define unlikely(x) __builtin_expect(!!(x),0)

typedef uint64_t u64; typedef uint32_t u32; typedef uint8_t u8;
static inline u64 nowns(void){ struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t); return (u64)t.tv_sec*1000000000ull+t.tv_nsec; }

// ---------------------------------------------------------------- options
static char o_host[64]="127.0.0.1"; static int o_port=0, o_n=100, o_conc=100, o_win=1, o_bytes=32, o_k=10;
static double o_warm=0.5, o_dur=2.0, o_hold=0, o_rate=0, o_drain=10, o_max=300;
static char o_mode[16]="echo", o_ns[64]="/", o_auth[256]="", o_label[64]="";
static int o_pids[64], o_npids=0, o_spin=1, o_delack=0, o_srcbase=-1, o_cpu=-1, o_cpr=25000; static char o_path[128]="/socket.io/";
static double o_pingiv=25;

// ---------------------------------------------------------------- histogram: log-linear, 128 sub-buckets per octave (<0.8% error)
#define HSUB 128
#define HN (40*HSUB)
typedef struct { u64 b[HN]; u64 n, max, sum; } hist;
static inline void hadd(hist*h,u64 v){ u32 i; if(v<HSUB) i=v; else { int m=63-__builtin_clzll(v); int s=m-7; i=(s+1)*HSUB+((v>>s)&(HSUB-1)); if(i>=HN) i=HN-1; } h->b[i]++; h->n++; h->sum+=v; if(v>h->max) h->max=v; }
static double hpct(hist*h,double p){ if(!h->n) return 0; u64 want=(u64)(p*h->n); if(want>=h->n) want=h->n-1; u64 c=0; for(u32 i=0;i<HN;i++){ c+=h->b[i]; if(c>want){ double v; if(i<HSUB) v=i; else { int s=i/HSUB-1; v=(double)(((u64)(HSUB+(i%HSUB)))<<s)+(double)(1ull<<s)/2; } if(v>h->max) v=h->max; return v; } } return h->max; }
static hist H, HF, HC;   // op latency, full fan-out completion, connect

// ---------------------------------------------------------------- errors
static u64 e_missing,e_dup,e_corrupt,e_unexp,e_reorder,e_disc,e_conn,e_proto; static char e_first[256];
static void err(u64*ctr,const char*fmt,...){ (*ctr)++; if(!e_first[0]){ va_list ap; va_start(ap,fmt); vsnprintf(e_first,sizeof e_first,fmt,ap); va_end(ap); for(char*p=e_first;*p;p++) if(*p=='"'||*p=='\\'||(u8)*p<32) *p='\''; fprintf(stderr,"sioload: FIRST ERROR: %s\n",e_first);} }

// ---------------------------------------------------------------- connections
enum { S_IDLE, S_TCP, S_HTTP, S_OPEN, S_NSACK, S_UP, S_DEAD };
typedef struct conn {
  int fd; u32 idx; u8 st, wantout; u8 nrecv;
  u8 *rb; u32 rlen, rcap;             // partial frame left-over
  u8 *wb; u32 wlen, woff, wcap;       // unsent output
  u64 t0;
  u32 exp; u64 mask;                  // next expected sequence (+ bitmap of the 64 after it)
  u32 room; u8 joined;
  u32 *sid; u64 *stm; u32 outst;      // echo slots
} conn;
static conn *C; static int ep; static int nup=0, nstarted=0, nopen_fds=0, closing=0;
#define RBUF (1<<20)
static u8 rbuf[RBUF+16]; static u8 obuf[RBUF]; static u32 olen;
static conn *ocur;                    // connection whose output is being batched in obuf
static u64 npings=0, bytes_in=0, nreads=0, nwrites=0;
static struct epoll_event evs[2048];

// phases
enum { P_CONNECT, P_PREP, P_WARM, P_MEAS, P_DRAIN, P_DONE };
static int phase=P_CONNECT; static int measuring=0;
static u64 t_meas0,t_meas1; static u64 ops=0, ops_all=0, issued_all=0, issued_meas=0;

static void epmod(conn*c,u32 ev){ struct epoll_event e={.events=ev,.data.ptr=c}; epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&e); }
static void die_conn(conn*c,const char*why){ if(c->st==S_DEAD) return; if(!closing){ if(c->st==S_UP) err(&e_disc,"conn %u dropped: %s",c->idx,why); else err(&e_conn,"conn %u failed in state %d: %s",c->idx,c->st,why); } if(c->st==S_UP) nup--; c->st=S_DEAD; close(c->fd); c->fd=-1; nopen_fds--; }

static void raw_send(conn*c,const u8*p,u32 n){
  if(c->st==S_DEAD) return;
  if(!c->wlen){ nwrites++; ssize_t r=send(c->fd,p,n,MSG_NOSIGNAL); if(likely(r==(ssize_t)n)) return; if(r<0){ if(errno!=EAGAIN){ die_conn(c,strerror(errno)); return; } r=0; } p+=r; n-=r; }
  if(c->woff+c->wlen+n>c->wcap){ if(c->woff){ memmove(c->wb,c->wb+c->woff,c->wlen); c->woff=0; } if(c->wlen+n>c->wcap){ c->wcap=(c->wlen+n)*2; c->wb=realloc(c->wb,c->wcap); } }
  memcpy(c->wb+c->woff+c->wlen,p,n); c->wlen+=n;
  if(!c->wantout){ c->wantout=1; epmod(c,EPOLLIN|EPOLLOUT); }
}
static void oflush(void){ if(olen){ u32 n=olen; olen=0; raw_send(ocur,obuf,n); } }
static inline u32 frame_hdr(u8*o,u32 plen){ // client text frame, mask bit set, key 0
  o[0]=0x81; u32 h; if(plen<126){ o[1]=0x80|plen; h=2; } else if(plen<65536){ o[1]=0x80|126; o[2]=plen>>8; o[3]=plen; h=4; } else { o[1]=0x80|127; memset(o+2,0,4); o[6]=plen>>24;o[7]=plen>>16;o[8]=plen>>8;o[9]=plen; h=10; }
  memset(o+h,0,4); return h+4; }
// append one text frame for connection c (batched when c is the one being read)
static u8 *frame_begin(conn*c,u32 plen){ if(ocur!=c || olen+plen+16>RBUF){ oflush(); ocur=c; } u8*o=obuf+olen; u32 h=frame_hdr(o,plen); olen+=h+plen; return o+h; }
static void ctl_frame(conn*c,int op,const u8*p,u32 n){ if(n>125) n=125; if(ocur!=c||olen+n+16>RBUF){ oflush(); ocur=c; } u8*o=obuf+olen; o[0]=0x80|op; o[1]=0x80|n; memset(o+2,0,4); memcpy(o+6,p,n); olen+=6+n; }

static inline void put10(u8*p,u32 v){ for(int i=9;i>=0;i--){ p[i]='0'+v%10; v/=10; } }
static inline int get10(const u8*p,u32*v){ u32 x=0; for(int i=0;i<10;i++){ u32 d=p[i]-'0'; if(d>9) return -1; x=x*10+d; } *v=x; return 0; }
static char nsp[72]=""; static u32 nspl=0;     // "" or "/chat,"
static u8 pad[70000];

// ---------------------------------------------------------------- echo
static u8 echo_pre[128]; 
static inline void echo_send(conn*c,u32 slot,u64 now){
  u32 id=c->sid[slot]; char num[12]; int nl=0; { char t[12]; int k=0; u32 v=id; do{ t[k++]='0'+v%10; v/=10; }while(v); while(k) num[nl++]=t[--k]; }
  u32 plen=2+nspl+nl+9+o_bytes+2; u8*o=frame_begin(c,plen);
  o[0]='4';o[1]='2'; memcpy(o+2,nsp,nspl); o+=2+nspl; memcpy(o,num,nl); o+=nl; memcpy(o,"[\"echo\",\"",9); o+=9; put10(o,id); memcpy(o+10,pad,o_bytes-10); o+=o_bytes; o[0]='"'; o[1]=']';
  c->stm[slot]=now; c->outst++; issued_all++; if(measuring) issued_meas++;
}
// ---------------------------------------------------------------- bcast
#define BR 65536
static struct { u64 t; u32 rem; } br[BR]; static u32 b_next=0, b_done=0; static u32 b_outst=0;
static void bcast_send(u64 t){ conn*c=&C[0]; u32 q=b_next++; br[q%BR].t=t; br[q%BR].rem=o_n; b_outst++; issued_all+=o_n; if(measuring) issued_meas+=o_n; u32 plen=2+nspl+10+o_bytes+2; u8 tmp[70100]; u32 h=frame_hdr(tmp,plen); u8*o=tmp+h; memcpy(o,"42",2); memcpy(o+2,nsp,nspl); o+=2+nspl; memcpy(o,"[\"bcast\",\"",10); o+=10; put10(o,q); memcpy(o+10,pad,o_bytes-10); o+=o_bytes; o[0]='"';o[1]=']'; if(ocur==c) oflush(); raw_send(c,tmp,h+plen); }
// ---------------------------------------------------------------- rooms
#define RW 64
typedef struct { u32 next, outst, members; struct { u64 t; u32 rem; } r[RW]; } room; static room *R; static int nrooms=0; static int njoined=0;
static void room_send(u32 rm,u64 t){ room*r=&R[rm]; conn*c=&C[rm]; u32 q=r->next++; r->r[q%RW].t=t; r->r[q%RW].rem=r->members; r->outst++; issued_all+=r->members; if(measuring) issued_meas+=r->members;
  u32 plen=2+nspl+9+2+7+3+o_bytes+2-1; // 42<ns>["room","r000000","payload"]
  u8 tmp[70100]; char head[64]; int hl=snprintf(head,sizeof head,"[\"room\",\"r%06u\",\"",rm); plen=2+nspl+hl+o_bytes+2; u32 h=frame_hdr(tmp,plen); u8*o=tmp+h; memcpy(o,"42",2); memcpy(o+2,nsp,nspl); o+=2+nspl; memcpy(o,head,hl); o+=hl; put10(o,q); put10(o+10,rm); memcpy(o+20,pad,o_bytes-20); o+=o_bytes; o[0]='"';o[1]=']'; if(ocur==c) oflush(); raw_send(c,tmp,h+plen); }

// exactly-once bookkeeping per receiving connection; returns 0 if this delivery counts
static inline int seq_check(conn*c,u32 q){
  if(likely(q==c->exp)){ c->exp++; while(unlikely(c->mask&1)){ c->mask>>=1; c->exp++; } c->mask>>=1; return 0; }
  if(q<c->exp){ err(&e_dup,"conn %u duplicate seq %u (expected %u)",c->idx,q,c->exp); return -1; }
  u32 d=q-c->exp-1; if(d>=64){ err(&e_missing,"conn %u gap: got seq %u expected %u",c->idx,q,c->exp); c->exp=q+1; c->mask=0; return 0; }
  if(c->mask>>d&1){ err(&e_dup,"conn %u duplicate seq %u",c->idx,q); return -1; }
  c->mask|=1ull<<d; e_reorder++; return 0;
}
static void on_event(conn*c,const u8*p,u32 n,u64 now){
  if(nspl){ if(n<nspl||memcmp(p,nsp,nspl)){ err(&e_corrupt,"conn %u event on wrong namespace",c->idx); return; } p+=nspl; n-=nspl; }
  if(o_mode[0]=='b'){
    if(n!=10+(u32)o_bytes+2 || memcmp(p,"[\"bcast\",\"",10) || p[n-2]!='"'||p[n-1]!=']'){ err(&e_corrupt,"conn %u bad bcast event len %u: %.*s",c->idx,n,(int)(n<80?n:80),p); return; }
    u32 q; if(get10(p+10,&q)||memcmp(p+20,pad,o_bytes-10)){ err(&e_corrupt,"conn %u corrupt payload",c->idx); return; }
    if(q>=b_next){ err(&e_unexp,"conn %u seq %u never sent",c->idx,q); return; }
    if(seq_check(c,q)) return;
    u64 t=br[q%BR].t; ops_all++; if(measuring){ ops++; hadd(&H,now-t); }
    if(--br[q%BR].rem==0){ b_outst--; b_done++; if(measuring) hadd(&HF,now-t); if(o_rate<=0 && phase<P_DRAIN) bcast_send(now); }
    return; }
  if(o_mode[0]=='r'){
    if(n!=9+(u32)o_bytes+2 || memcmp(p,"[\"room\",\"",9) || p[n-2]!='"'||p[n-1]!=']'){ err(&e_corrupt,"conn %u bad room event len %u: %.*s",c->idx,n,(int)(n<80?n:80),p); return; }
    u32 q,rm; if(get10(p+9,&q)||get10(p+19,&rm)||memcmp(p+29,pad,o_bytes-20)){ err(&e_corrupt,"conn %u corrupt payload",c->idx); return; }
    if(rm!=c->room){ err(&e_unexp,"conn %u (room %u) got message of room %u",c->idx,c->room,rm); return; }
    room*r=&R[rm]; if(q>=r->next){ err(&e_unexp,"conn %u seq %u never sent",c->idx,q); return; }
    if(seq_check(c,q)) return;
    u64 t=r->r[q%RW].t; ops_all++; if(measuring){ ops++; hadd(&H,now-t); }
    if(--r->r[q%RW].rem==0){ r->outst--; if(measuring) hadd(&HF,now-t); if(phase<P_DRAIN) room_send(rm,now); }
    return; }
  err(&e_unexp,"conn %u unexpected event %.*s",c->idx,(int)(n<80?n:80),p);
}
static void on_ack(conn*c,const u8*p,u32 n,u64 now){
  if(nspl){ if(n<nspl||memcmp(p,nsp,nspl)){ err(&e_corrupt,"ack on wrong namespace"); return; } p+=nspl; n-=nspl; }
  u32 id=0,i=0; while(i<n&&p[i]>='0'&&p[i]<='9') id=id*10+(p[i++]-'0'); p+=i; n-=i;
  if(o_mode[0]=='r'){ if(id!=7||c->joined){ err(&e_unexp,"conn %u unexpected ack %u",c->idx,id); return; } c->joined=1; njoined++; return; }
  if(o_mode[0]!='e'){ err(&e_unexp,"conn %u unexpected ack %u",c->idx,id); return; }
  u32 s=id%o_win; if(!c->stm[s] || c->sid[s]!=id){ if(id<c->sid[s]) err(&e_dup,"conn %u duplicate ack %u",c->idx,id); else err(&e_unexp,"conn %u unexpected ack %u",c->idx,id); return; }
  u32 q; if(n!=(u32)o_bytes+4||p[0]!='['||p[1]!='"'||p[n-2]!='"'||p[n-1]!=']'||get10(p+2,&q)||q!=id||memcmp(p+12,pad,o_bytes-10)){ err(&e_corrupt,"conn %u ack %u bad payload: %.*s",c->idx,id,(int)(n<80?n:80),p); return; }
  u64 t=c->stm[s]; ops_all++; if(measuring){ ops++; hadd(&H,now-t); }
  c->stm[s]=0; c->outst--; c->sid[s]+=o_win; if(phase<P_DRAIN) echo_send(c,s,now);
}
static int start_more(void);
static void on_msg(conn*c,const u8*p,u32 n,u64 now){
  if(n==0){ err(&e_proto,"empty message"); return; }
  switch(p[0]){
  case '0': if(c->st!=S_OPEN){ err(&e_proto,"second open packet"); return; }
    { u32 al=strlen(o_auth); u32 plen=2+nspl+al; u8*o=frame_begin(c,plen); o[0]='4';o[1]='0'; memcpy(o+2,nsp,nspl); memcpy(o+2+nspl,o_auth,al); c->st=S_NSACK; } return;
  case '2': { u8*o=frame_begin(c,1); o[0]='3'; npings++; } return;
  case '6': return;
  case '4': if(n<2) break;
    switch(p[1]){
    case '0': if(c->st!=S_NSACK){ err(&e_proto,"unexpected 40"); return; } if(n<2+nspl||memcmp(p+2,nsp,nspl)||!memmem(p,n,"\"sid\"",5)){ err(&e_proto,"bad connect ack %.*s",(int)n,p); return; } c->st=S_UP; nup++; hadd(&HC,now-c->t0); start_more(); return;
    case '2': on_event(c,p+2,n-2,now); return;
    case '3': on_ack(c,p+2,n-2,now); return;
    case '4': err(&e_conn,"conn %u connect error: %.*s",c->idx,(int)(n<100?n:100),p); return;
    case '1': err(&e_disc,"conn %u namespace disconnect",c->idx); return; }
  }
  err(&e_proto,"conn %u unexpected packet %.*s",c->idx,(int)(n<60?n:60),p);
}
static void on_readable(conn*c){
  u32 pre=c->rlen; if(pre){ memcpy(rbuf,c->rb,pre); c->rlen=0; }
  if(o_delack && ((c->nrecv++)&7)==0){ int z=0; setsockopt(c->fd,IPPROTO_TCP,TCP_QUICKACK,&z,sizeof z); }
  ssize_t r=recv(c->fd,rbuf+pre,RBUF-pre,0); nreads++;
  if(r<=0){ if(r<0&&errno==EAGAIN){ if(pre){ c->rlen=pre; } return; } die_conn(c,r==0?"EOF":strerror(errno)); return; }
  bytes_in+=r; u64 now=nowns(); u32 len=pre+r, p=0; ocur=c; olen=0;
  if(c->st==S_HTTP){ u8*e=memmem(rbuf,len,"\r\n\r\n",4); if(!e){ if(len>16384){ die_conn(c,"no end of HTTP header"); return; } goto left; }
    if(len<12||memcmp(rbuf,"HTTP/1.1 101",12)||!memmem(rbuf,e-rbuf,"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",28)){ char m[200]; snprintf(m,sizeof m,"bad upgrade reply: %.*s",(int)(len<120?len:120),rbuf); die_conn(c,m); return; }
    c->st=S_OPEN; p=(e-rbuf)+4; }
  while(len-p>=2){
    u8 b0=rbuf[p], b1=rbuf[p+1]; u64 pl=b1&127; u32 h=2;
    if(unlikely(b1&128)){ err(&e_proto,"masked server frame"); die_conn(c,"masked"); return; }
    if(pl==126){ if(len-p<4) break; pl=(u32)rbuf[p+2]<<8|rbuf[p+3]; h=4; } else if(pl==127){ if(len-p<10) break; pl=0; for(int i=0;i<8;i++) pl=pl<<8|rbuf[p+2+i]; h=10; if(pl>RBUF-64){ die_conn(c,"frame too large"); return; } }
    if(len-p<h+pl) break;
    u8*d=rbuf+p+h; int op=b0&15;
    if(likely(op==1)){ if(unlikely(!(b0&0x80)||(b0&0x70))){ err(&e_proto,"fragmented or RSV frame"); die_conn(c,"frag"); return; } on_msg(c,d,pl,now); }
    else if(op==9) ctl_frame(c,10,d,pl); else if(op==10){} else if(op==8){ die_conn(c,"close frame"); return; } else { err(&e_proto,"unexpected opcode %d",op); }
    if(unlikely(c->st==S_DEAD)) return;
    p+=h+pl; }
left:
  if(p<len){ u32 l=len-p; if(c->rcap<l){ c->rcap=l+256; c->rb=realloc(c->rb,c->rcap); } memcpy(c->rb,rbuf+p,l); c->rlen=l; }
  if(olen){ ocur=c; oflush(); } ocur=NULL;
}
static void on_writable(conn*c){
  if(c->st==S_TCP){ int e=0; socklen_t l=sizeof e; getsockopt(c->fd,SOL_SOCKET,SO_ERROR,&e,&l); if(e){ die_conn(c,strerror(e)); return; }
    c->st=S_HTTP; char q[512]; int n=snprintf(q,sizeof q,"GET %s?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",o_path,o_host,o_port);
    c->wantout=0; epmod(c,EPOLLIN); raw_send(c,(u8*)q,n); return; }
  if(c->wlen){ ssize_t r=send(c->fd,c->wb+c->woff,c->wlen,MSG_NOSIGNAL); nwrites++; if(r<0){ if(errno!=EAGAIN) die_conn(c,strerror(errno)); return; } c->woff+=r; c->wlen-=r; if(!c->wlen) c->woff=0; }
  if(!c->wlen&&c->wantout){ c->wantout=0; epmod(c,EPOLLIN); }
}
static struct sockaddr_in dst;
static void start_one(void){
  conn*c=&C[nstarted]; c->idx=nstarted; nstarted++; c->t0=nowns();
  c->fd=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC,0); if(c->fd<0){ c->st=S_DEAD; err(&e_conn,"socket: %s",strerror(errno)); return; } nopen_fds++;
  int one=1; setsockopt(c->fd,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one);
  if(o_n>o_cpr||o_srcbase>=0){ struct sockaddr_in s={.sin_family=AF_INET}; setsockopt(c->fd,IPPROTO_IP,IP_BIND_ADDRESS_NO_PORT,&one,sizeof one); s.sin_addr.s_addr=htonl(0x7f000001u+(o_srcbase>0?o_srcbase:0)+c->idx/o_cpr); if(bind(c->fd,(void*)&s,sizeof s)){ err(&e_conn,"bind: %s",strerror(errno)); } }
  c->st=S_TCP; c->wantout=1; int r=connect(c->fd,(void*)&dst,sizeof dst); if(r<0&&errno!=EINPROGRESS){ die_conn(c,strerror(errno)); return; }
  struct epoll_event e={.events=EPOLLIN|EPOLLOUT,.data.ptr=c}; epoll_ctl(ep,EPOLL_CTL_ADD,c->fd,&e);
}
static int start_more(void){ int k=0; while(nstarted<o_n && nstarted-nup-(int)e_conn<o_conc){ start_one(); k++; } return k; }

// ---------------------------------------------------------------- /proc
typedef struct { double usr,sys; long rss; } pst;
static pst rdpids(void){ pst a={0}; double hz=sysconf(_SC_CLK_TCK); for(int i=0;i<o_npids;i++){ char f[64],b[1024]; snprintf(f,sizeof f,"/proc/%d/stat",o_pids[i]); FILE*p=fopen(f,"r"); if(!p) continue; size_t n=fread(b,1,sizeof b-1,p); fclose(p); b[n]=0; char*q=strrchr(b,')'); if(!q) continue; unsigned long ut=0,st=0; sscanf(q+2,"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",&ut,&st); a.usr+=ut/hz; a.sys+=st/hz; snprintf(f,sizeof f,"/proc/%d/statm",o_pids[i]); p=fopen(f,"r"); if(p){ long sz,rs=0; if(fscanf(p,"%ld %ld",&sz,&rs)==2) a.rss+=rs*(sysconf(_SC_PAGESIZE)/1024); fclose(p);} } return a; }
static double rdall(void){ FILE*f=fopen("/proc/stat","r"); if(!f) return 0; unsigned long v[8]={0}; if(fscanf(f,"cpu %lu %lu %lu %lu %lu %lu %lu %lu",v,v+1,v+2,v+3,v+4,v+5,v+6,v+7)!=8) {} fclose(f); return (v[0]+v[1]+v[2]+v[5]+v[6]+v[7])/(double)sysconf(_SC_CLK_TCK); } // busy seconds, all cpus
static double cball0,cball1;
static void rdcpu(double*busy,double*tot){ *busy=*tot=0; cball1=rdall(); if(o_cpu<0) return; FILE*f=fopen("/proc/stat","r"); if(!f) return; char l[512],w[16]; snprintf(w,sizeof w,"cpu%d ",o_cpu); while(fgets(l,sizeof l,f)) if(!strncmp(l,w,strlen(w))){ unsigned long v[8]={0}; sscanf(l+strlen(w),"%lu %lu %lu %lu %lu %lu %lu %lu",v,v+1,v+2,v+3,v+4,v+5,v+6,v+7); double s=0; for(int i=0;i<8;i++) s+=v[i]; *tot=s; *busy=s-v[3]-v[4]; } fclose(f); }

// ---------------------------------------------------------------- loop
static u64 idle_ns=0;
static int poll_once(int spin,int tmo){ int k=epoll_wait(ep,evs,2048,spin?0:tmo); for(int i=0;i<k;i++){ conn*c=evs[i].data.ptr; if(c->st==S_DEAD) continue; if(evs[i].events&EPOLLOUT) on_writable(c); if(c->st!=S_DEAD&&(evs[i].events&(EPOLLIN|EPOLLHUP|EPOLLERR))) on_readable(c); } return k; }
static u64 outstanding(void){ return issued_all-ops_all; }
static void usage(void){ fprintf(stderr,
"usage: sioload --mode connect|idle|echo|bcast|room --port P [--n N] [--conc C] [--win W] [--bytes B] [--k K]\n"
"  [--rate R (bcast open loop, 1/s)] [--warm s] [--dur s] [--hold s] [--pid P1,P2] [--cpu n] [--ns /x] [--auth JSON]\n"
"  [--label txt] [--spin 0|1] [--delack 0|1] [--srcbase n] [--per-src 25000] [--max s] [--drain s] [--path /socket.io/]\n"); exit(2); }
int main(int ac,char**av){
  static struct option lo[]={{"mode",1,0,'m'},{"port",1,0,'p'},{"host",1,0,'H'},{"n",1,0,'n'},{"conc",1,0,'c'},{"win",1,0,'w'},{"bytes",1,0,'b'},{"k",1,0,'k'},{"rate",1,0,'r'},{"warm",1,0,1},{"dur",1,0,2},{"hold",1,0,3},{"pid",1,0,4},{"cpu",1,0,5},{"ns",1,0,6},{"auth",1,0,7},{"label",1,0,8},{"spin",1,0,9},{"delack",1,0,10},{"srcbase",1,0,11},{"max",1,0,12},{"drain",1,0,13},{"path",1,0,14},{"per-src",1,0,15},{"pingiv",1,0,16},{0,0,0,0}};
  int o; while((o=getopt_long(ac,av,"",lo,0))!=-1) switch(o){
    case 'm': snprintf(o_mode,sizeof o_mode,"%s",optarg); break; case 'p': o_port=atoi(optarg); break; case 'H': snprintf(o_host,sizeof o_host,"%s",optarg); break; case 'n': o_n=atoi(optarg); break; case 'c': o_conc=atoi(optarg); break; case 'w': o_win=atoi(optarg); break; case 'b': o_bytes=atoi(optarg); break; case 'k': o_k=atoi(optarg); break; case 'r': o_rate=atof(optarg); break;
    case 1: o_warm=atof(optarg); break; case 2: o_dur=atof(optarg); break; case 3: o_hold=atof(optarg); break; case 4: { char*s=strdup(optarg); for(char*t=strtok(s,",");t&&o_npids<64;t=strtok(0,",")) o_pids[o_npids++]=atoi(t); } break; case 5: o_cpu=atoi(optarg); break; case 6: snprintf(o_ns,sizeof o_ns,"%s",optarg); break; case 7: snprintf(o_auth,sizeof o_auth,"%s",optarg); break; case 8: snprintf(o_label,sizeof o_label,"%s",optarg); break; case 9: o_spin=atoi(optarg); break; case 10: o_delack=atoi(optarg); break; case 11: o_srcbase=atoi(optarg); break; case 12: o_max=atof(optarg); break; case 13: o_drain=atof(optarg); break; case 14: snprintf(o_path,sizeof o_path,"%s",optarg); break; case 15: o_cpr=atoi(optarg); break; case 16: o_pingiv=atof(optarg); break;
    default: usage(); }
  char m=o_mode[0]; if(!o_port||!strchr("ciebr",m)) usage();
  if(o_bytes>65000||o_bytes<(m=='r'?20:10)) { fprintf(stderr,"--bytes out of range\n"); return 2; }
  if(m!='b'&&m!='r') o_delack=0;
  if(m=='r'&&(o_win>RW/2||o_k<1||o_n%o_k)) { fprintf(stderr,"room: need N%%K==0, W<=%d\n",RW/2); return 2; }
  if(strncmp(o_host,"127.",4)){ fprintf(stderr,"loopback only\n"); return 2; }
  if(strcmp(o_ns,"/")){ nspl=snprintf(nsp,sizeof nsp,"%s,",o_ns); }
  struct rlimit rl; getrlimit(RLIMIT_NOFILE,&rl); rl.rlim_cur=rl.rlim_max; setrlimit(RLIMIT_NOFILE,&rl); if((u64)o_n+16>rl.rlim_cur){ fprintf(stderr,"N=%d exceeds fd limit %lu\n",o_n,(unsigned long)rl.rlim_cur); return 2; }
  signal(SIGPIPE,SIG_IGN); memset(pad,'x',sizeof pad); C=calloc(o_n,sizeof(conn)); ep=epoll_create1(EPOLL_CLOEXEC);
  dst.sin_family=AF_INET; dst.sin_port=htons(o_port); inet_pton(AF_INET,o_host,&dst.sin_addr);
  u64 tstart=nowns(), hard=tstart+(u64)(o_max*1e9); int timedout=0;
  pst p0=rdpids();
  // ---- connect phase
  u64 tc0=nowns(); start_more();
  while(nup<o_n && nup+(int)e_conn+(int)e_disc<o_n){ poll_once(0,200); start_more(); if(nowns()>hard){ timedout=1; break; } }
  u64 tc1=nowns(); double conn_s=(tc1-tc0)/1e9;
  pst pc=rdpids();
  if(nup<o_n){ err(&e_conn,"only %d of %d connected",nup,o_n); }
  u64 lost_total=0; struct rusage ru0,ru1; double cb0=0,ct0=0,cb1=0,ct1=0; pst ps0=pc,ps1=pc; double meas=0, gen_busy=0, gen_cpu=0;
  u64 nr0=0,nw0=0;
  int fail=(nup<o_n);
  if(!fail && (m=='c'||m=='i')){
    // settle, then hold, measuring idle cost
    u64 te=nowns()+500000000ull; while(nowns()<te) poll_once(0,50);
    ps0=rdpids(); rdcpu(&cb0,&ct0); cball0=cball1; u64 pg0=npings; t_meas0=nowns(); getrusage(RUSAGE_SELF,&ru0);
    te=t_meas0+(u64)(o_hold*1e9); while(nowns()<te&&nowns()<hard) poll_once(0,50);
    t_meas1=nowns(); ps1=rdpids(); rdcpu(&cb1,&ct1); getrusage(RUSAGE_SELF,&ru1); meas=(t_meas1-t_meas0)/1e9; ops=npings-pg0;
    // every connection must have been pinged floor(hold/interval) times at least
    u64 want=(u64)o_n*(u64)(o_hold>1?(o_hold-1)/o_pingiv:0); if(ops<want) err(&e_missing,"only %lu pings, expected >= %lu",(unsigned long)ops,(unsigned long)want);
    if(nup<o_n) err(&e_disc,"%d of %d still up",nup,o_n);
  } else if(!fail){
    if(m=='r'){ phase=P_PREP; nrooms=o_n/o_k; R=calloc(nrooms,sizeof(room)); int nj=0; for(int i=0;i<o_n;i++){ C[i].room=i%nrooms; R[i%nrooms].members++; }
      while(njoined<o_n && nowns()<hard && !e_disc){ while(nj<o_n && nj-njoined<o_conc){ conn*c=&C[nj++]; char b[128]; int n=snprintf(b,sizeof b,"42%s7[\"join\",\"r%06u\"]",nsp,c->room); u8*q=frame_begin(c,n); memcpy(q,b,n); oflush(); ocur=NULL; } poll_once(0,50); }
      if(njoined<o_n){ err(&e_missing,"only %d of %d joined",njoined,o_n); fail=1; } }
    u64 t=nowns(), next=t; phase=P_WARM;
    if(!fail){
    if(m=='e') for(int i=0;i<o_n;i++){ conn*c=&C[i]; c->sid=malloc(4*o_win); c->stm=calloc(o_win,8); for(int s=0;s<o_win;s++){ c->sid[s]=s; } }
    if(m=='e') for(int i=0;i<o_n;i++){ conn*c=&C[i]; t=nowns(); for(int s=0;s<o_win;s++) echo_send(c,s,t); oflush(); ocur=NULL; if((i&63)==63) poll_once(1,0); }
    if(m=='b'&&o_rate<=0) for(int i=0;i<o_win;i++) bcast_send(nowns());
    if(m=='r') for(int w=0;w<o_win;w++) for(int i=0;i<nrooms;i++){ room_send(i,nowns()); }
    u64 tw=nowns(); next=tw; t_meas0=tw+(u64)(o_warm*1e9); t_meas1=t_meas0+(u64)(o_dur*1e9); u64 busy_a=0,tdrain=0; double iv=o_rate>0?1e9/o_rate:0; double nextf=next;
    int spin=o_spin; u64 last_ops=0,last_prog=tw; int got=1; u64 tprev=0;
    for(;;){
      t=nowns(); if(!got) idle_ns+=t-tprev; tprev=t;   // an iteration that found no event is idle time
      if(phase==P_WARM&&t>=t_meas0){ ps0=rdpids(); rdcpu(&cb0,&ct0); cball0=cball1; getrusage(RUSAGE_SELF,&ru0); idle_ns=0; nr0=nreads; nw0=nwrites; t=nowns(); busy_a=t; t_meas0=t; t_meas1=t+(u64)(o_dur*1e9); phase=P_MEAS; measuring=1; }
      else if(phase==P_MEAS&&t>=t_meas1){ measuring=0; t_meas1=t; ps1=rdpids(); rdcpu(&cb1,&ct1); getrusage(RUSAGE_SELF,&ru1); meas=(t_meas1-t_meas0)/1e9; gen_busy=1.0-(double)idle_ns/(t-busy_a); nr0=nreads-nr0; nw0=nwrites-nw0; phase=P_DRAIN; tdrain=t+(u64)(o_drain*1e9); }
      else if(phase==P_DRAIN){ if(outstanding()==0){ // linger to catch duplicates
            u64 te=nowns()+150000000ull; while(nowns()<te) poll_once(0,20); phase=P_DONE; break; }
          if(t>=tdrain){ break; } }
      if(t>=hard){ timedout=1; break; }
      if(e_disc+e_proto+e_corrupt+e_unexp>0 && phase<P_DRAIN){ break; }
      if(ops_all!=last_ops){ last_ops=ops_all; last_prog=t; } else if(t-last_prog>(u64)(o_drain*1e9)&&(o_rate<=0||outstanding())){ err(&e_missing,"stalled for %.0f s",o_drain); break; }
      if(iv>0&&phase<P_DRAIN) while(nextf<=t&&b_outst<BR-1){ bcast_send((u64)nextf); nextf+=iv; }
      got=poll_once(spin,iv>0?1:10);
    }
    lost_total=outstanding(); if(lost_total){ u64 z=0; err(&z,"%lu messages never arrived",(unsigned long)lost_total); e_missing+=lost_total; }
    if(m=='b'||m=='r') for(int i=0;i<o_n;i++){ u32 want=m=='b'?b_next:R[C[i].room].next; if(C[i].exp!=want||C[i].mask) err(&e_missing,"conn %d ends at seq %u, expected %u",i,C[i].exp,want); }
    }
  }
  if(timedout) err(&e_missing,"hard time limit of %.0f s reached",o_max);
  if(o_npids) for(int i=0;i<o_npids;i++) if(kill(o_pids[i],0)) err(&e_disc,"server pid %d is gone",o_pids[i]);
  pst pe=rdpids(); closing=1;
  u64 errs=e_missing+e_dup+e_corrupt+e_unexp+e_disc+e_conn+e_proto; int ok=(errs==0);
  if(meas>0) gen_cpu=((ru1.ru_utime.tv_sec-ru0.ru_utime.tv_sec)+(ru1.ru_stime.tv_sec-ru0.ru_stime.tv_sec)+(ru1.ru_utime.tv_usec-ru0.ru_utime.tv_usec+ru1.ru_stime.tv_usec-ru0.ru_stime.tv_usec)/1e6)/meas;
  double scpu=(ps1.usr-ps0.usr)+(ps1.sys-ps0.sys);
  printf("{\"mode\":\"%s\",\"label\":\"%s\",\"n\":%d,\"w\":%d,\"b\":%d,\"k\":%d,\"rate\":%g,\"ok\":%s,",o_mode,o_label,o_n,o_win,o_bytes,o_k,o_rate,ok?"true":"false");
  printf("\"meas_s\":%.3f,\"ops\":%lu,\"ops_per_s\":%.1f,\"srv_cpu_s\":%.3f,\"srv_user_s\":%.3f,\"srv_sys_s\":%.3f,\"srv_cpu_pct\":%.1f,\"srv_us_per_op\":%.3f,",meas,(unsigned long)ops,meas>0?ops/meas:0,scpu,ps1.usr-ps0.usr,ps1.sys-ps0.sys,meas>0?100*scpu/meas:0,ops?scpu*1e6/ops:0);
  printf("\"lat_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",H.n?H.sum/1e3/H.n:0,hpct(&H,.5)/1e3,hpct(&H,.9)/1e3,hpct(&H,.99)/1e3,hpct(&H,.999)/1e3,H.max/1e3);
  printf("\"fan_us\":{\"n\":%lu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},",(unsigned long)HF.n,hpct(&HF,.5)/1e3,hpct(&HF,.99)/1e3,HF.max/1e3);
  printf("\"conn_per_s\":%.1f,\"conn_s\":%.3f,\"conn_cpu_us\":%.1f,\"conn_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},",conn_s>0?nup/conn_s:0,conn_s,o_n?((pc.usr+pc.sys)-(p0.usr+p0.sys))*1e6/o_n:0,hpct(&HC,.5)/1e3,hpct(&HC,.99)/1e3,HC.max/1e3);
  printf("\"rss0_kib\":%ld,\"rss1_kib\":%ld,\"kib_per_conn\":%.2f,\"pings\":%lu,",p0.rss,(m=='c'||m=='i')?ps1.rss:pe.rss,((double)((m=='c'||m=='i')?ps1.rss:pe.rss)-p0.rss)/o_n,(unsigned long)npings);
  printf("\"oth_pct\":%.1f,\"gen_busy_pct\":%.1f,\"gen_cpu_pct\":%.1f,\"cpu_busy_pct\":%.1f,\"gen_reads\":%lu,\"gen_writes\":%lu,",meas>0?100*((cball1-cball0)/meas-gen_cpu-scpu/meas):0,100*gen_busy,100*gen_cpu,ct1>ct0?100*(cb1-cb0)/(ct1-ct0):0,(unsigned long)nr0,(unsigned long)nw0);
  printf("\"sent\":%lu,\"recv\":%lu,\"reordered\":%lu,\"err\":{\"missing\":%lu,\"dup\":%lu,\"corrupt\":%lu,\"unexpected\":%lu,\"disconnect\":%lu,\"connect\":%lu,\"proto\":%lu},\"first_error\":\"%s\"}\n",(unsigned long)issued_all,(unsigned long)ops_all,(unsigned long)e_reorder,(unsigned long)e_missing,(unsigned long)e_dup,(unsigned long)e_corrupt,(unsigned long)e_unexp,(unsigned long)e_disc,(unsigned long)e_conn,(unsigned long)e_proto,e_first);
  fflush(stdout);
  for(int i=0;i<nstarted;i++) if(C[i].fd>0&&C[i].st!=S_DEAD) close(C[i].fd);
  if(!ok) fprintf(stderr,"sioload: FAILED (%lu errors): %s\n",(unsigned long)errs,e_first);
  return ok?0:1;
}
